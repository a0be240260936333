"""Inside of a compiled model: what each column should hold, the circuit, and interventions."""

from tracr_lite.compiler.circuits.errors import CircuitError as CircuitError
from tracr_lite.compiler.circuits.errors import InterventionError as InterventionError
