"""Parts of what is connected: of people, senders, clusters and pictures that must not cross splits.

Not scipy's: importing it takes a quarter of a second, as long as the stages that use this take to start, it is no
faster, and its ``DisjointSet`` cannot say of many elements at once where they belong, which the search for near
duplicates asks for each picture.
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

    def join(self, first: int, second: int) -> None:
        """Make one set of two. The smaller gets the larger's label: a number changes its label log n times at most."""
        small, large = int(self.label[first]), int(self.label[second])
        if small == large:
            return
        moved, kept = self._members.pop(small, None) or [small], self._members.pop(large, None) or [large]
        if len(moved) > len(kept):
            moved, kept, large = kept, moved, small
        self.label[moved] = large
        kept.extend(moved)
        self._members[large] = kept

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
    for left, right in known:
        sets.join(place[left], place[right])
    return {key: keys[first] for key, first in zip(keys, sets.smallest().tolist(), strict=True)}
