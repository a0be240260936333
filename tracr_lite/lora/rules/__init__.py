"""What each primitive does with a weight whose change is kept as two factors."""

from tracr_lite.lora.rules import calls, conv, derivatives, dot, lookup, loops, shape

__all__ = ["calls", "conv", "derivatives", "dot", "lookup", "loops", "shape"]
