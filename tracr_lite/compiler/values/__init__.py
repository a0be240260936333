"""Stage 2, infer: which values every node can hold, at which positions, and with what else."""
