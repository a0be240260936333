"""MLPs and heads that are exact on a finite set of values; numpy only, no RASP and no JAX.

Each block states its equations, the input error it tolerates and the error it makes, in units
of its columns, for float32 arithmetic with unit roundoff `U`.
"""

from __future__ import annotations

U = 2.0**-24  # unit roundoff of float32
# Where errors this many times larger than the bounds here would do no harm, a certificate is
# sure to hold: its own bounds are worse by less.
CARE = 2.0
