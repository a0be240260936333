"""Checks a certificate against parameters: every number is derived again, and none may be
better.

Knows no compiler: it needs the parameters, the sizes of the model and the certificate.

    python -m tracr_lite.certifying.checker FOLDER CERTIFICATE.json

FOLDER is a saved model. Exit code 0: the certificate is proved; 1: it is not; 2: nothing
checked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from tracr_lite.certifying.bounds import derive, number_of
from tracr_lite.certifying.certificate import Certificate
from tracr_lite.certifying.errors import CertifyError

PROVED, REFUSED, USER_ERROR = 0, 1, 2
ALLOWED = 1e-9  # numbers may differ by this, relative: machines add in different orders


def check_certificate(
    params: Mapping[str, Mapping[str, Any]], config: Any, certificate: Certificate
) -> list[str]:
    """Derives all bounds again.

    **Arguments:** `params`: of the model, `module -> name -> array`; `config`: its
    `TransformerConfig`, or a mapping with the same names.
    **Returns:** why the certificate is not proved, a line each; nothing if it is.
    **Raises:** `CertifyError` if the claims make no sense for a model of this shape.
    """
    number = number_of(certificate.dtype)
    try:
        derived = derive(params, config, certificate.claims, number)
    except (LookupError, ValueError, StopIteration, TypeError) as error:
        if isinstance(error, CertifyError):
            raise
        raise CertifyError(f"the claims are not about this model: {error}") from error
    found = derived.why_not()
    stated = {node.name: node for node in certificate.nodes}
    if not found and list(stated) != [node.name for node in derived.nodes]:
        found.append("the certificate and the model have other nodes")
    if not certificate.holds:
        found.append("the certificate says itself that it does not hold")
    for node in derived.nodes:
        said = stated.get(node.name)
        if said is None or not node.margin > 0.0:
            continue
        better = said.error < node.error * (1 - ALLOWED)
        better |= said.tolerance > node.tolerance * (1 + ALLOWED)
        better |= said.margin > node.margin + ALLOWED * abs(node.tolerance)
        if better:
            found.append(f"{node.name}: the certificate says more than can be proved")
    return found


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return USER_ERROR
    try:
        params, record = read_model(Path(arguments[0]))
        text = Path(arguments[1]).read_text(encoding="utf-8")
        certificate = Certificate.from_json(text)
        found = check_certificate(params, record["config"], certificate)
        found += _readout(record, certificate)
    except (CertifyError, OSError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    for line in found:
        print(line)
    n = certificate.claims.max_seq_len
    print("not proved" if found else f"proved, in {certificate.dtype}, for 1 to {n} tokens")
    return REFUSED if found else PROVED


def _readout(record: Mapping[str, Any], certificate: Certificate) -> list[str]:
    """Whether the saved model reads its answer from where the certificate says."""
    readout, output = record["shape"]["readout"], certificate.claims.output
    same = readout["categorical"] is output.categorical
    same &= [int(at) for at in readout["columns"]] == output.columns.tolist()
    same &= int(record["shape"]["pad_token"]) == certificate.claims.pad_row
    return [] if same else ["answer: the saved model reads it from other columns"]


def read_model(folder: Path) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any]]:
    """Parameters and record of a saved model. **Raises:** `CertifyError`, `OSError`."""
    try:
        record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tensors = cast(dict[str, Any], load_file(folder / "model.safetensors"))
        if not {"config", "shape"} <= record.keys():
            raise CertifyError("model.json has no config and shape")
    except (ValueError, SafetensorError, AttributeError) as error:
        raise CertifyError(f"{folder} is no saved model: {error}") from error
    params: dict[str, dict[str, Any]] = {}
    for name, array in tensors.items():
        module, _, leaf = name.rpartition("/")
        params.setdefault(module, {})[leaf] = array
    return params, record


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
