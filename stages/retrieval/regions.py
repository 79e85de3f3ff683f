"""Retrieval by the regions that an encoder attends to, for encoders that have them (system B's ``attention``).

embed writes ``regions/<k>/`` below the encoder's vectors, under the same names: of each picture as it is the vector of
its region k, of unit length. Two things are scored. Each region alone against the same region of the gallery's
pictures, by the one evaluator. And the list of recommendations in which the regions take turns
(stages/networks/encoders/attention/recommend.py): what it finds, and how many categories a person gets to see, beside
the ranking by whole pictures.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from stages.networks.encoders.attention.recommend import diverse_list, region_distances
from stages.retrieval.similarity import Rows, nearest
from stages.retrieval.vectors import REGIONS, headline

LISTED = 10  # recommendations that a person looks at
HITS = (5, LISTED)
WAYS = ("list", "whole")
QUERIES = 500  # of a benchmark's that get a list, evenly by id: each of them costs a pass over the gallery
Pair = tuple[Rows, Rows, str]  # queries, gallery, metric


def region_folders(embeddings: Path) -> list[Path]:
    """Folders of vectors of the regions, the first region first; none for most encoders."""
    return sorted((embeddings / REGIONS).glob("*"), key=lambda folder: int(folder.name))


def by_region(
    embeddings: Path, read: Callable[[Path], Pair], score: Callable[[Pair], dict[str, Any]], whole: Pair
) -> dict[str, Any]:
    """``regions``: number of a region -> the figures of its vectors; ``recommendation``: of the lists. Or nothing.

    Args:
        embeddings: an encoder's folder of vectors.
        read: queries, gallery and metric of the benchmark, with the vectors of a folder.
        score: the evaluator.
        whole: what ``read`` gives for ``embeddings`` itself.
    """
    folders = region_folders(embeddings)
    if not folders:
        return {}
    pairs = [read(folder) for folder in folders]
    figures = {folder.name: headline(score(pair)) for folder, pair in zip(folders, pairs, strict=True)}
    return {"regions": figures, "recommendation": recommendation(whole, pairs)}


def recommendation(whole: Pair, regions: Sequence[Pair]) -> dict[str, float]:
    """The first ``LISTED`` recommendations, by regions in turn (``list``) and by whole pictures (``whole``).

    Returns:
        n_scored: queries that have a match, ``QUERIES`` at most;
        <way>_hit_at_<k>: share of them whose item is among the first k; one that was not detected is a miss, as
        everywhere;
        <way>_categories: mean number of different categories among all ``LISTED``, over those that were detected.
    """
    queries, gallery, metric = whole
    with_match = _with_match(queries, gallery)
    asked = [row for row in with_match if queries.detected[row]]
    if not asked:
        return {"n_scored": len(with_match)} | (
            {f"{way}_hit_at_{k}": 0.0 for way in WAYS for k in HITS} if with_match else {}
        )
    of_queries, of_gallery = (np.stack([pair[at].vectors for pair in regions], axis=1) for at in (0, 1))
    query_ids, gallery_ids = np.array(queries.ids.to_pylist()), np.array(gallery.ids.to_pylist())
    query_items, gallery_items = (np.array(rows.items.to_pylist(), object) for rows in (queries, gallery))
    categories = np.array(gallery.categories.to_pylist())
    place = {name: at for at, name in enumerate(gallery_ids.tolist())}
    by_whole = nearest(queries, gallery, metric, asked, LISTED)
    found: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for row in asked:
        others = np.flatnonzero(gallery_ids != query_ids[row])
        listed = diverse_list(
            region_distances(of_queries[row], of_gallery[others]), gallery_ids[others].tolist(), LISTED
        )
        found["list"].append(np.array([place[name] for name, _ in listed]))
        found["whole"].append(np.array([at for at, _ in by_whole[row]]))
    scores: dict[str, float] = {"n_scored": len(with_match)}
    for way, lists in found.items():
        right = [gallery_items[at] == query_items[row] for row, at in zip(asked, lists, strict=True)]
        scores |= {f"{way}_hit_at_{k}": sum(bool(hits[:k].any()) for hits in right) / len(with_match) for k in HITS}
        scores[f"{way}_categories"] = float(np.mean([len(set(categories[at])) for at in lists]))
    return scores


def _with_match(queries: Rows, gallery: Rows) -> list[int]:
    """Rows of queries that have a match which is not the same picture, ``QUERIES`` at most; evenly by id."""
    matches: dict[Any, set[Any]] = {}
    for name, item in zip(gallery.ids.to_pylist(), gallery.items.to_pylist(), strict=True):
        matches.setdefault(item, set()).add(name)
    by_id = pc.sort_indices(queries.ids).to_numpy()
    ids, items = queries.ids.to_pylist(), queries.items.to_pylist()
    rows = [int(row) for row in by_id if items[row] is not None and matches.get(items[row], set()) - {ids[row]}]
    return rows if len(rows) <= QUERIES else [rows[at * (len(rows) - 1) // (QUERIES - 1)] for at in range(QUERIES)]
