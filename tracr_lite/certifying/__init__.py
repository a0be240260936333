"""Proofs that a compiled model is right for all inputs: bounds from its parameters."""
