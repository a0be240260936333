"""What each primitive does with a weight whose change is kept as two factors."""

from tracr_lite.lora.rules import calls, choice, conv, derivatives, dot, lookup, loops, shape

__all__ = ["calls", "choice", "conv", "derivatives", "dot", "lookup", "loops", "shape"]
