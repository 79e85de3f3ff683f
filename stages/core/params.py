"""Typed access to params.yaml: each stage gets its own section as a frozen object.

A missing, unknown or mistyped key ends the stage with one message that names the key and the file.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml

PARAMS_FILE = Path("params.yaml")


class Section(BaseModel):
    """Base of every params section: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _low_first(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"expected the lower bound first, found {ends[0]} and {ends[1]}")
    return ends


Share = Annotated[float, Field(ge=0, le=1)]  # a probability, or a part of a whole
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's generator takes
LowHigh = AfterValidator(_low_first)  # for the bounds of a random number

Names = list[Annotated[str, Field(min_length=1)]]  # a list in params.yaml that names the items to run

S = TypeVar("S")


def load_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """The whole params file as nested dicts.

    Raises:
        StageError: when the file is missing, is not YAML, or is not a mapping.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. Run from the project's root, or `make use PROFILE=demo`.")
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise StageError(f"{path}: expected a mapping of sections, found {type(content).__name__}.")
    return content


def lookup(content: Mapping[str, Any], dotted: str, path: Path = PARAMS_FILE) -> Any:
    """The value at a dotted key such as ``detector.shoes``.

    Raises:
        StageError: a part of the key is missing; the message names the keys that exist.
    """
    value: Any = content
    walked: list[str] = []
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            present = shown(value) if isinstance(value, dict) else repr(value)
            where = ".".join(walked) or "the top level"
            raise StageError(f"{path}: `{dotted}` is missing; {where} has: {present}. Add it (profiles/ has examples).")
        value = value[key]
        walked.append(key)
    return value


def section(model: type[S], dotted: str, content: Mapping[str, Any] | None = None, path: Path = PARAMS_FILE) -> S:
    """The value at ``dotted``, parsed as type ``model``: a ``Section``, or a type such as ``Names``.

    Raises:
        StageError: naming every key that is missing, unknown or of the wrong type or range.
    """
    value = lookup(content if content is not None else load_params(path), dotted, path)
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        lines = [_explain(problem, dotted, model) for problem in error.errors()]
        raise StageError(f"{path}: " + "; ".join(lines)) from None


def _explain(problem: Any, dotted: str, model: type[Any]) -> str:
    key = ".".join([dotted, *map(str, problem["loc"])])
    if problem["type"] == "missing":
        return f"`{key}` is missing"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), model.model_fields, n=1)
        hint = f", did you mean `{near[0]}`?" if near else f", expected one of: {shown(model.model_fields)}"
        return f"`{key}` is not a known key{hint}"
    return f"`{key}` is {problem['input']!r}: {problem['msg']}"
