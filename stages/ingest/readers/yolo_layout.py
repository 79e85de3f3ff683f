"""How a YOLO directory says what it holds: the names of its classes, its splits, and where their labels lie.

A directory has a data.yaml, or Darknet's obj.data, or no more than a list of class names.
"""

from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import StageError, shown
from stages.core.files import parse_plain_yaml, read_text
from stages.ingest.readers.folders import SPLIT_FOLDERS
from stages.ingest.reading import Request

CLASS_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
EXPECTED = "data.yaml (names, train, val), images/<split>/*.jpg and labels/<split>/*.txt"


def read_description(request: Request) -> tuple[Path, dict[str, Any]]:
    """The file that describes the directory, and its keys names, train, val and test.

    The file is data.yaml; or Darknet's obj.data with obj.names, as CVAT writes them; or a list of class names, as
    labeling tools write it: next to images/, in one folder with images and labels (labelImg), or in the folder of each
    split (Roboflow).

    Raises:
        StageError: no such file, several, one that is not valid, or lists that name different classes.
    """
    root = request.root
    yamls = [root / "data.yaml"]
    if not yamls[0].is_file():
        yamls = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if not yamls and (root / "obj.data").is_file():
        lines = read_text(request.files.take(root / "obj.data"), "replace").splitlines()
        pairs = (line.partition("=") for line in lines)
        content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
        return root / "obj.data", content | {"names": class_names(request.files.take(root / "obj.names"))}
    if not yamls and (lists := class_lists(root)):
        names = [class_names(request.files.take(path)) for path in lists]
        if any(entry != names[0] for entry in names):
            raise StageError(f"{root}: {shown(path.relative_to(root) for path in lists)} name different classes.")
        places = {path.parent.name for path in lists}
        where = {SPLIT_FOLDERS[name.lower()]: name for name in sorted(places) if name.lower() in SPLIT_FOLDERS}
        return lists[0], {"names": names[0]} | (where or {"train": "images" if (root / "images").is_dir() else "."})
    if len(yamls) != 1:
        present = shown(path.name for path in yamls or root.iterdir())
        raise StageError(f"{root}: no data.yaml; found {present}. Expected {EXPECTED}.")
    try:
        content = parse_plain_yaml(read_text(request.files.take(yamls[0])))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"{yamls[0]}: not valid YAML: {' '.join(str(error).split())}. Correct the file.") from None
    if not isinstance(content, dict):
        raise StageError(f"{yamls[0]}: expected names, train and val, found {type(content).__name__}.")
    return yamls[0], content


def class_lists(root: Path) -> list[Path]:
    """The lists of class names of a directory without data.yaml: one in it, or one in each of its folders."""
    for places in ([root], sorted(path for path in root.iterdir() if path.is_dir())):
        if lists := [path for place in places for name in CLASS_LISTS if (path := place / name).is_file()]:
            return lists
    return []


def check_names(path: Path, content: dict[str, Any]) -> list[str]:
    """The class names in the order of their numbers.

    Raises:
        StageError: ``names`` is neither a list of names nor a mapping from 0, 1, ... to names.
    """
    names = content.get("names")
    if isinstance(names, dict) and set(names) == {str(number) for number in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise StageError(f"{path}: names is {names!r}; expected a list of class names, or 0: name, 1: name, ...")
    return names


def label_folder(folder: Path, root: Path) -> Path:
    """The folder of the labels: images/train -> labels/train, train/images -> train/labels; else the images' own."""
    segments = list(folder.relative_to(root).parts)
    if "images" in segments:
        segments[len(segments) - 1 - segments[::-1].index("images")] = "labels"
    return root.joinpath(*segments)


def class_names(path: Path) -> list[str]:
    """The class names in a classes.txt, one a line.

    Raises:
        StageError: the file names no class, or a class twice.
    """
    text = read_text(path, "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names or len(set(names)) < len(names):
        raise StageError(f"{path}: found {shown(names)}; expected one class name a line, each once. Correct the file.")
    return names
