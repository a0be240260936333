"""Measures decoding of random models, as `tracr-lite llama bench` prints it."""
