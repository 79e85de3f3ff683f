"""What every source shares: a seed for each drawn thing, the plan of its defects, its files."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from pathlib import Path
from random import Random


def rng_for(seed: int, source: str, *index: int | str) -> Random:
    """A generator of its own for each drawn thing: adding images never changes the ones before."""
    key = ":".join(str(value) for value in (seed, source, *index))
    return Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


class DefectPlan:
    """Says which files, rows or items of a source have a defect. One generator chooses them all; none gets two.

    Attributes:
        rng: the generator, for what else is random about the defects.
    """

    def __init__(self, seed: int, source: str, total: int) -> None:
        self.rng = rng_for(seed, source, "defects")
        self._sound = list(range(total))

    def take(self, count: int, among: Container[int] | None = None) -> list[int]:
        """So many indices that have no defect yet, sorted; fewer where there are not so many.

        Args:
            count: how many.
            among: those that can have the defect; all by default.
        """
        able = [index for index in self._sound if among is None or index in among]
        taken = sorted(self.rng.sample(able, min(count, len(able))))
        self.exclude(taken)
        return taken

    def exclude(self, indices: Iterable[int]) -> None:
        """Keep these from getting a defect."""
        gone = set(indices)
        self._sound = [index for index in self._sound if index not in gone]


def write_bytes(path: Path, content: bytes) -> None:
    """A file, with its folder."""
    try:
        path.write_bytes(content)
    except FileNotFoundError:  # tried first: thousands of files share a few folders
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """A text file with its line ends as they are, with its folder."""
    write_bytes(path, content.encode())
