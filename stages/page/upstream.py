"""Where a row stands upstream: its file below the raw tree, and the lines of annotations that name it.

The readers keep no line numbers of rows that pass. This searches the tree for the id instead, as a person would.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.names import plain
from stages.page.lookup import base

TEXTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml")
LARGEST = 200_000_000  # bytes of an annotation file that is searched
MOST = 12  # lines that are shown
WIDTH = 160  # characters of a line


def files_below(root: Path) -> list[Path]:
    """Every file below a source's raw folder, sorted, over links too."""
    result = []
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        result += [Path(folder, name) for name in sorted(files)]
    return result


def image_file(root: Path, image_id: str, files: Collection[Path] | None = None) -> Path | None:
    """The picture of an image id: the file whose path, without suffix, ends with it; of several the shortest path.

    An id may begin with the split's folder, as DeepFashion2's do: ``train-000001`` is train/image/000001.jpg.
    """
    split, _, rest = image_id.replace("/", "-", 1).partition("-")
    fits = []
    for path in files_below(root) if files is None else files:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        below = path.relative_to(root)
        stem = f"/{plain(below.with_suffix('').as_posix())}"
        if stem.endswith(f"/{image_id}") or (rest and below.parts[0] == split and stem.endswith(f"/{rest}")):
            fits.append(path)
    return min(fits, key=lambda path: (len(path.parts), path.as_posix()), default=None)


def lines_about(root: Path, names: Collection[str], files: Collection[Path] | None = None) -> list[dict[str, Any]]:
    """Lines of annotation files that name one of ``names``: ``file``, ``line`` and ``text``; most of all ``MOST``.

    A file that bears the name itself, as one annotation a picture does, is one entry with its first line.
    """
    wanted = {base(name) for name in names if name}
    bare = {name for name in names if name}
    result: list[dict[str, Any]] = []
    for path in files_below(root) if files is None else files:
        if path.suffix.lower() not in TEXTS or path.stat().st_size > LARGEST:
            continue
        if path.stem in wanted:
            result.append({"file": path, "line": 1, "text": "the whole file"})
        else:
            with path.open(encoding="utf-8", errors="replace") as stream:
                for number, line in enumerate(stream, start=1):
                    if any(entry in line for entry in wanted) and any(
                        _is_in(entry, line) for entry in {*wanted, *bare}
                    ):
                        result.append({"file": path, "line": number, "text": _around(line, wanted)})
                        if len(result) >= MOST:
                            return result
        if len(result) >= MOST:
            break
    return result


def _is_in(name: str, line: str) -> bool:
    """Whether a line has the name as a word: not as a part of a longer number or name."""
    start = line.find(name)
    while start >= 0:
        before, after = line[start - 1 : start], line[start + len(name) : start + len(name) + 1]
        if not (before.isalnum() or before in ("_", "-")) and not (after.isalnum() or after in ("_", "-")):
            return True
        start = line.find(name, start + 1)
    return False


def _around(line: str, names: Collection[str]) -> str:
    """A line, or of a long one what stands around the name."""
    text = plain(" ".join(line.split()))
    if len(text) <= WIDTH:
        return text
    at = min((text.find(name) for name in names if name in text), default=0)
    start = max(0, at - 20)
    return f"{'…' if start else ''}{text[start : start + WIDTH - 2]}…"
