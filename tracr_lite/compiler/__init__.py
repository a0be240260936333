"""Compiles RASP programs into transformers."""

from tracr_lite.compiler.compiling import compile_rasp_to_model as compile_rasp_to_model
