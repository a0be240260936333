"""Stock models as files that other programs load.

    export(model, "folder", to="hf")        Hugging Face transformers, and others
    export(model, "folder", to="llama2c")   run.c, and all that reads its files
    export(model, "folder", to="gguf")      llama.cpp

Every folder also has a page for people, `README.md`, and `program.json` with what is known
about the program: ids of values, node map, limits.
"""

from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.export.writing import FORMATS, export

__all__ = ["FORMATS", "ExportError", "export"]
