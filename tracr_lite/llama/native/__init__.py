"""The native engine: generation on CPUs by kernels that numba compiles.

A whole pass runs inside compiled code, on all threads at once, over the very arrays that the
JAX engine uses: `plan` describes them, `passes` is the model, `products` are its matrices.
Nothing here is imported unless the engine is wanted, as numba is optional.
"""
