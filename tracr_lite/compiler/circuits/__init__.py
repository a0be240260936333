"""Inside of a compiled model: what each column should hold, the circuit, and interventions."""
