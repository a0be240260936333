"""How a compiled model packs its directions into fewer dimensions.

One matrix, shared by all layers, squeezes the residual stream of a compiled model; everything
else stays as compiled. Training only this matrix shows which directions can share a dimension.

Source: Lindner et al. 2023, arXiv:2301.05062, section 5.
"""

from tracr_lite.lora.superposition.problem import Problem, make_problem
from tracr_lite.lora.superposition.training import Result, Training, train

__all__ = ["Problem", "Result", "Training", "make_problem", "train"]
