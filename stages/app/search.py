"""Searches in the wardrobe: the most similar garments, a diverse list ("different ideas"), and filters for both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.app.folders import absolute
from stages.app.garments import Box
from stages.app.items import Item, Match, QueryGarment, named_attributes
from stages.app.store import File, below
from stages.crops.matching import NO_DETECTOR
from stages.networks.encoders.attention.recommend import diverse_list
from stages.retrieval.index import WIDER, Index, exact_scores

ALL_IN_ALL = "all in all"
# Weight of the distance between whole vectors in the distance by one head.
REST = 0.5
SHORTLIST = 200  # nearest garments by each distance, among which the diverse list chooses


@dataclass(frozen=True)
class Filters:
    """Which garments compete.

    Attributes:
        superclasses: empty: all of them.
        attributes: head -> allowed names; a garment needs an allowed name in every head given.
        within: folders or photos; empty: the whole wardrobe.
    """

    superclasses: frozenset[str] = frozenset()
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    within: tuple[Path, ...] = ()


ANY = Filters()


class Catalog:
    """One state of the wardrobe in memory: a row for each garment, sorted by path. Immutable, so threads share it."""

    def __init__(
        self,
        files: Mapping[str, File],
        table: pa.Table,
        rows: np.ndarray,
        heads: Mapping[str, Sequence[str]],
        unsure_below: float,
    ) -> None:
        """Build it from what ``Store.files`` and ``ModelResults.read`` return.

        Args:
            rows: float32 [garments, d + classes of all heads]: a vector, then the probabilities of all heads.
            heads: head -> class names.
        """
        self.heads, self.unsure_below = heads, unsure_below
        classes = sum(map(len, heads.values()))
        self.paths: dict[str, list[str]] = {}
        for file in files.values():
            if file.present and file.sha256:
                self.paths.setdefault(file.sha256, []).append(file.path)
        for own in self.paths.values():
            own.sort()
        hashes, numbers, of_vectors, reasons = (
            table[name].to_pylist() for name in ("sha256", "number", "row", "reason")
        )
        self.unreadable = {sha: reason for sha, reason in zip(hashes, reasons, strict=True) if reason is not None}
        self.photos = len(self.paths.keys() & set(hashes) - self.unreadable.keys())
        kept = [
            (self.paths[sha][0], number, at)
            for at, (sha, number) in enumerate(zip(hashes, numbers, strict=True))
            if number is not None and sha in self.paths
        ]
        order = np.array([at for _, _, at in sorted(kept)], np.int64)
        self.table = table.take(order)
        self.photo = np.array(hashes, dtype=object)[order]
        self.superclass = np.array(table["superclass"].to_pylist(), dtype=object)[order]
        self.rows = np.array(of_vectors, dtype=object)[order].astype(np.int64)
        width = rows.shape[1] - classes if len(rows) else 0
        self.vectors, self._shares = rows[:, :width], rows[:, width:]
        self._index: Index | None = None
        self._exact_up_to = 0

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def places(self) -> dict[str, int]:
        """Id -> position of the garment."""
        names = zip(self.photo, self.table["number"].to_pylist(), strict=True)
        return {f"{sha}-{number}": at for at, (sha, number) in enumerate(names)}

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Head -> position of each garment's most probable class [n]."""
        shares, result, start = self._shares[self.rows], {}, 0
        for head, names in self.heads.items():
            result[head] = shares[:, start : start + len(names)].argmax(axis=1)
            start += len(names)
        return result

    def item(self, at: int) -> Item:
        """The garment at a position."""
        (column,) = self.table.slice(at, 1).to_pylist()
        box: Box | None = None
        if column["x1"] is not None:
            box = column["x1"], column["y1"], column["x2"], column["y2"]
        return Item(
            id=f"{column['sha256']}-{column['number']}",
            paths=tuple(map(Path, self.paths[column["sha256"]])),
            superclass=column["superclass"],
            confidence=column["confidence"],
            box=box,
            width=column["width"],
            height=column["height"],
            attributes=named_attributes(self._shares[self.rows[at]], self.heads, self.unsure_below),
        )

    def passing(self, filters: Filters) -> np.ndarray:
        """bool [n]: the garments that pass the filters."""
        keep = np.ones(len(self), bool)
        if filters.superclasses:
            keep &= np.isin(self.superclass, list(filters.superclasses))
        for head, names in filters.attributes.items():
            own = [self.heads[head].index(name) for name in names if name in self.heads.get(head, ())]
            keep &= np.isin(self.codes[head], own) if head in self.codes else False
        if filters.within:
            places = list(map(absolute, filters.within))
            inside = {
                sha
                for sha, paths in self.paths.items()
                if any(below(path, place) for path in paths for place in places)
            }
            # numpy's isin compares objects one by one with each name: minutes for 10,000 photos.
            keep &= np.array([sha in inside for sha in self.photo], bool)
        return keep

    def facets(self, filters: Filters) -> dict[str, dict[str, int]]:
        """Superclass and each head -> name -> how many garments pass the filters, most frequent first."""
        at = np.flatnonzero(self.passing(filters))
        result = {"superclass": Counter(self.superclass[at])}
        for head, names in self.heads.items():
            result[head] = Counter(names[code] for code in self.codes[head][at])
        return {
            name: dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))) for name, counts in result.items()
        }

    def competing(self, superclass: str, filters: Filters, any_class: bool, without: str) -> np.ndarray:
        """Positions of the garments that may match one of ``superclass``.

        These are the garments of its superclass, and photos in which nothing was detected, unless the filters name
        superclasses, ``any_class`` is true, or the superclass is unknown; never those of the photo ``without``.
        """
        keep = self.passing(filters)
        if not (any_class or filters.superclasses or superclass == NO_DETECTOR):
            keep &= np.isin(self.superclass, [superclass, NO_DETECTOR])
        if without:
            keep &= self.photo != without
        return np.flatnonzero(keep)

    def _similarity(self, query: QueryGarment, at: np.ndarray) -> np.ndarray:
        """Cosine similarity [n] of the query to the garments at the positions ``at``."""
        # The product with all rows reads them once in order; picking rows first would copy them.
        return (self.vectors @ query.vector)[self.rows[at]] if len(at) else np.zeros(0, np.float32)

    def _best_of_photos(self, at: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Indexes into ``at``, best score first, with only the best garment of each photo; ties go by path.

        Otherwise a garment that was detected twice would be two matches.
        """
        order = np.argsort(-scores, kind="stable")
        _, first = np.unique(self.photo[at[order]], return_index=True)
        return order[np.sort(first)]

    def use_index(self, index: Index | None, exact_up_to: int) -> None:
        """Search by an index of the first rows of the vectors, where more garments compete than ``exact_up_to``."""
        self._index, self._exact_up_to = index, exact_up_to

    @cached_property
    def _at_row(self) -> np.ndarray:
        """Position of the garment of each row of the vectors; -1: none."""
        result = np.full(len(self.vectors), -1)
        result[self.rows] = np.arange(len(self.rows))
        return result

    def _by_index(self, index: Index, query: QueryGarment, at: np.ndarray, top: int) -> list[Match] | None:
        """The same as ``matches`` by an index; None if it finds too few in the lists that it searches."""
        rows, covered = self.rows[at], index.card["rows"]
        among = np.zeros(covered, bool)
        among[rows[rows < covered]] = True
        new = rows[rows >= covered]
        new_scores = exact_scores(query.vector, self.vectors[new], "cosine")
        count, most = WIDER * top, int(among.sum())
        while True:
            nearest, covered_rows = index.nearest(self.vectors, query.vector[None], count, among=among)
            known = covered_rows[0] >= 0
            places = self._at_row[np.concatenate([covered_rows[0][known], new])]
            scores = np.concatenate([nearest[0][known], new_scores])
            order = np.argsort(places)
            places, scores = places[order], scores[order]
            best = self._best_of_photos(places, scores)[:top]
            if len(best) == top or known.sum() == most:
                return [Match(self.item(int(places[at])), float(scores[at]), recall=index.expected) for at in best]
            if known.sum() < count:
                return None
            count *= WIDER

    def matches(self, query: QueryGarment, at: np.ndarray, top: int) -> list[Match]:
        """The most similar of the garments at the positions ``at``, one of each photo, best first."""
        if self._index is not None and len(at) > self._exact_up_to:
            approximate = self._by_index(self._index, query, at, top)
            if approximate is not None:
                return approximate
        scores = self._similarity(query, at)
        return [Match(self.item(int(at[best])), float(scores[best])) for best in self._best_of_photos(at, scores)[:top]]

    def ideas(self, query: QueryGarment, at: np.ndarray, top: int) -> list[Match]:
        """Different ideas: the whole vector and each head in turn add the nearest garment that is not listed yet.

        This is the diverse list of system B (docs/systems/attention.md), with heads in place of its regions. The
        distance by a head is the Hellinger distance of its probabilities plus ``REST`` times the distance of the whole
        vectors, so that the most similar one of many garments of the same color comes first.
        """
        scores = self._similarity(query, at)
        best = self._best_of_photos(at, scores)
        at, scores = at[best], scores[best]
        apart = 1 - scores
        distances = [apart, *(self._apart(query, head, at) + REST * apart for head in self.heads)]
        near = sorted(
            {int(position) for row in distances for position in np.argsort(row, kind="stable")[: max(SHORTLIST, top)]}
        )
        listed = diverse_list(np.stack(distances)[:, near], [f"{place:09d}" for place in near], top)
        why = (ALL_IN_ALL, *self.heads)
        return [Match(self.item(int(at[int(place)])), float(scores[int(place)]), why[turn]) for place, turn in listed]

    def _apart(self, query: QueryGarment, head: str, at: np.ndarray) -> np.ndarray:
        """Hellinger distance [n] between the query's probabilities of a head and those of the garments at ``at``."""
        start = 0
        for name, classes in self.heads.items():
            span = slice(start, start + len(classes))
            if name == head:
                break
            start = span.stop
        roots = np.sqrt(self._shares[self.rows[at], span])
        return np.sqrt(np.maximum(0, 1 - roots @ np.sqrt(query.probabilities[span])))
