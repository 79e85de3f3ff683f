"""Parts of what is connected: of people, senders, clusters and pictures that must not cross splits.

Not scipy's: importing that takes a quarter of a second, as long as the stages that use this take to start; its
``DisjointSet`` takes three times as long for 200,000 rows, and cannot say of many elements at once where they belong,
which the search for near duplicates asks for each picture.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

K = TypeVar("K")


class DisjointSet:
    """Disjoint sets of the numbers below ``size``, at first each on its own.

    Attributes:
        label: int64 [size], equal for two numbers of one set.
    """

    def __init__(self, size: int) -> None:
        self.label = np.arange(size)
        self._members: dict[int, list[int]] = {}

    def join(self, one: int, other: int) -> None:
        """Make one set of two. The smaller gets the larger's label: a number changes its label log n times at most."""
        labels = int(self.label[one]), int(self.label[other])
        if labels[0] == labels[1]:
            return
        small, large = sorted(labels, key=lambda label: len(self._members.get(label, (label,))))
        moved = self._members.pop(small, [small])
        self.label[moved] = large
        self._members.setdefault(large, [large]).extend(moved)

    def smallest(self) -> np.ndarray:
        """int64 [size]: of each number the smallest of its set."""
        result = np.arange(len(self.label))
        for members in self._members.values():
            result[members] = min(members)
        return result


def connected(pairs: Iterable[tuple[K, K]]) -> dict[K, K]:
    """Every key of the pairs -> the smallest key that pairs connect it with, over others or not.

    Args:
        pairs: of keys that can be compared.
    """
    known: list[Any] = list(pairs)
    keys = sorted({key for pair in known for key in pair})
    place = {key: number for number, key in enumerate(keys)}
    sets = DisjointSet(len(keys))
    for one, other in known:
        sets.join(place[one], place[other])
    return {key: keys[first] for key, first in zip(keys, sets.smallest().tolist(), strict=True)}
