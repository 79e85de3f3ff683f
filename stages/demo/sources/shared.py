"""Shared by all sources: a seed for each drawn object, the plan of defects, files."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from pathlib import Path
from random import Random


def rng_for(seed: int, source: str, *index: int | str) -> Random:
    """A separate generator for each drawn object, so that adding images changes no other image."""
    key = ":".join(str(value) for value in (seed, source, *index))
    return Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


class DefectPlan:
    """Chooses the files, rows or items of a source with a defect, by one generator; none gets two defects.

    Attributes:
        rng: the generator, also for other random properties of defects.
    """

    def __init__(self, seed: int, source: str, total: int) -> None:
        self.rng = rng_for(seed, source, "defects")
        self._sound = list(range(total))

    def take(self, count: int, among: Container[int] | None = None) -> list[int]:
        """Choose ``count`` indices without a defect, sorted; or all, if there are fewer.

        Args:
            count: how many.
            among: candidates; all by default.
        """
        able = [index for index in self._sound if among is None or index in among]
        taken = sorted(self.rng.sample(able, min(count, len(able))))
        self.exclude(taken)
        return taken

    def exclude(self, indices: Iterable[int]) -> None:
        """Exclude these indices from defects."""
        gone = set(indices)
        self._sound = [index for index in self._sound if index not in gone]


def write_bytes(path: Path, content: bytes) -> None:
    """A file, with its folder."""
    try:
        path.write_bytes(content)
    except FileNotFoundError:  # rare, as thousands of files share a few folders
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a text file with unchanged line ends, and its folder."""
    write_bytes(path, content.encode())
