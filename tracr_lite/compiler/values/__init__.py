"""Stage 2, infer: which values every node can hold, at which positions, and together with what."""
