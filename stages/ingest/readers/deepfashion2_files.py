"""Where DeepFashion2's annotations lie in each of its distributions, and what stands in them.

The official release has one JSON for each image. The Kaggle mirror ("original with dataframes") wraps it in two folders
and adds a CSV for each split with one row for each item; some copies of it come without the JSON.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.parallel import in_processes
from stages.runner.progress import track

MIRROR = "DeepFashion2/deepfashion2_original_images"
LEVELS = (MIRROR, "deepfashion2_original_images", "DeepFashion2", "")  # from which a user may have unpacked
TABLES = ("DeepFashion2/img_info_dataframes", "img_info_dataframes")
COLUMNS = ("path", "category_id", "b_box", "style", "pair_id")
CHUNK = 2000  # annotations that a process reads in one go, about 10 MB; fewer are read without starting processes


@dataclass(slots=True)
class Item:
    """One garment; ``key`` says where it stands, for rejects and messages."""

    name: str
    key: str
    category_id: Any
    style: Any
    box: Any


@dataclass(slots=True)
class Annotation:
    """One image's garments; ``error`` when its file cannot be read; ``taken_by`` shop or user, if that is known."""

    stem: str
    key: str
    pair: str = ""
    taken_by: str = ""
    items: list[Item] = field(default_factory=list)
    error: str = ""


def tree_level(root: Path) -> str:
    """The folder below ``root`` that holds train/ and validation/; empty: ``root`` itself."""
    return next((level for level in LEVELS if (root / level / "train").is_dir()), "")


def find_table(root: Path, split: str) -> Path | None:
    """The mirror's CSV of a split, if it is there."""
    return next((path for folder in TABLES if (path := root / folder / f"{split}.csv").is_file()), None)


def read_jsons(folder: Path, split: str, source: str) -> Iterator[Annotation]:
    """The annotations of a folder in the order of their names, read by processes."""
    paths = sorted(folder.glob("*.json"))
    chunks = [(split, paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    each = (annotation for chunk in in_processes(_read_chunk, chunks) for annotation in chunk)
    return track(each, total=len(paths), desc=f"read {source} {split} (annotations)")


def _read_chunk(chunk: tuple[str, list[Path]]) -> list[Annotation]:
    split, paths = chunk
    return [_read_json(path, f"{split}/annos/{path.name}") for path in paths]


def _read_json(path: Path, key: str) -> Annotation:
    try:
        content = json.loads(path.read_bytes())
        items = sorted((name, value) for name, value in content.items() if name.startswith("item"))
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return Annotation(path.stem, key, error=str(error))
    rows = []
    for name, value in items:
        # An item that is no object has no box; the reject then shows what stands there.
        item = value if isinstance(value, dict) else {"bounding_box": value}
        rows.append(Item(name, f"{key}:{name}", item.get("category_id"), item.get("style"), item.get("bounding_box")))
    pair = content.get("pair_id")
    return Annotation(path.stem, key, "" if pair is None else str(pair), _source(content.get("source")), rows)


def read_table(path: Path) -> list[Annotation]:
    """The annotations of a CSV in the order of the images' names; an image's items in the order of their rows.

    Rows that name no image come last, as an annotation without a stem.

    Raises:
        StageError: when a column is missing or the file is no CSV.
    """
    csv.field_size_limit(2**31 - 1)  # segmentations stand in one field, and Python's limit is 131,072 characters
    found: dict[str, Annotation] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            missing = set(COLUMNS) - set(header)
            if missing:
                raise StageError(
                    f"{path}, line 1: no column {shown(missing)}; it has {shown(header)}. Expected the mirror's "
                    f"{path.name}; or put upstream's annos/*.json beside image/."
                )
            source = header.index("source") if "source" in header else None  # some copies lack it
            places = [header.index(column) for column in COLUMNS]
            for number, row in enumerate(reader, start=1):
                image, category, box, style, pair = (row[place] if place < len(row) else "" for place in places)
                stem = Path(image.replace("\\", "/")).stem
                taken_by = _source(row[source]) if source is not None and source < len(row) else ""
                new = Annotation(stem, f"{path.name}:{stem}", str(_whole(pair)), taken_by)
                annotation = found.setdefault(stem, new)
                name = f"item{len(annotation.items) + 1}"
                key = f"{path.name}:row {number}"
                annotation.items.append(Item(name, key, _whole(category), _whole(style), _list(box)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise StageError(f"{path}: not a CSV in UTF-8 ({error}). Download it again.") from None
    return [found[stem] for stem in sorted(found, key=lambda stem: (not stem, stem))]


def _source(value: Any) -> str:
    return value if value in ("shop", "user") else ""


def _whole(text: str) -> int | str:
    """The number in a cell, which pandas writes as 3.0 where a column has gaps; the text itself if it is none."""
    try:
        value = float(text)
        return int(value) if value.is_integer() else text
    except (ValueError, OverflowError):
        return text


def _list(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
