"""Ship a derived model as the XOR of its files with those of its base model.

`encode` makes a release, `decode` turns release and base into the model again, `verify` checks
a finished folder. All three return a `Report`, and raise `FilesNotRight` when any file is not
right.
"""

from tracr_lite.xor.decoding import decode
from tracr_lite.xor.encoding import encode
from tracr_lite.xor.errors import FilesNotRight, XorError
from tracr_lite.xor.report import FileStatus, Report, Status, TensorChange
from tracr_lite.xor.verifying import verify

__all__ = [
    "FileStatus",
    "FilesNotRight",
    "Report",
    "Status",
    "TensorChange",
    "XorError",
    "decode",
    "encode",
    "verify",
]
