"""Connected components of people, senders, clusters and pictures, none of which may cross splits.

scipy's ``DisjointSet`` does not fit: importing scipy doubles the start-up of the stages that use this module, it is no
faster, and it cannot look up many elements at once, which the search for near duplicates does for each picture.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

K = TypeVar("K")


class DisjointSet:
    """Disjoint sets of the numbers below ``size``; each number starts as a set of its own.

    Attributes:
        label: int64 [size], equal for two numbers of one set.
    """

    def __init__(self, size: int) -> None:
        self.label = np.arange(size)
        self._members: dict[int, list[int]] = {}

    def join(self, first: int, second: int) -> None:
        """Join two sets. The smaller one gets the label of the larger one, so a label changes at most log n times."""
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
        """int64 [size]: the smallest member of each number's set."""
        result = np.arange(len(self.label))
        for members in self._members.values():
            result[members] = min(members)
        return result


def connected(pairs: Iterable[tuple[K, K]]) -> dict[K, K]:
    """Every key of the pairs -> the smallest key of its connected component.

    Args:
        pairs: of comparable keys.
    """
    known: list[Any] = list(pairs)
    keys = sorted({key for pair in known for key in pair})
    place = {key: number for number, key in enumerate(keys)}
    sets = DisjointSet(len(keys))
    for left, right in known:
        sets.join(place[left], place[right])
    return {key: keys[first] for key, first in zip(keys, sets.smallest().tolist(), strict=True)}
