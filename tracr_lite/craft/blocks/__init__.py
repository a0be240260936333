"""MLPs and heads that are exact on a finite set of values; numpy only, no RASP and no JAX.

Each block states its equations, the input error it tolerates and the error it makes, in units
of its columns, for float32 arithmetic with unit roundoff `U`.
"""

from __future__ import annotations

U = 2.0**-24  # unit roundoff of float32
# Steps are placed, and whether tables and steps are `sure` is judged, for inputs that are off
# this many times as far as they are said to be. It is room for the coarser bounds of a
# certificate; that one holds is proved in `lowering/proved*.py`, or found out.
CARE = 2.0
