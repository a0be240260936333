"""Models in folders: `save` and `load`. Weights as safetensors, all else as JSON, no code."""
