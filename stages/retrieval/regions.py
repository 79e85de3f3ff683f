"""Retrieval by the regions that an encoder attends to, for encoders that have them (system B's ``attention``).

embed writes ``regions/<k>/`` below the encoder's vectors, with the same file names: the vector of region k of each
picture, of unit length. Two things are scored. First, each region against the same region of the gallery's pictures, by
the evaluator. Second, lists of recommendations in which the regions take turns
(stages/networks/encoders/attention/recommend.py): their hits, and their number of categories, compared with the ranking
by whole pictures.

All vectors are of the plain pictures, because the regions of a mirror image are at other places. So the lists are
compared with the ranking by whole pictures without flip.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.networks.encoders.attention.recommend import diverse_list, region_distances
from stages.retrieval.catalogue import HIT
from stages.retrieval.comparison import compared
from stages.retrieval.similarity import BLOCK_BYTES, Rows, nearest
from stages.retrieval.vectors import PLAIN, REGIONS

LISTED = 10  # recommendations that a person looks at
HITS = (5, LISTED)
WAYS = ("list", "whole")
QUERIES = 500  # with a list, evenly chosen by id, as each takes a pass over the gallery
CLOSE = 1e-6  # rows whose squared distance is this close to the last of a shortlist join it
Pair = tuple[Rows, Rows, str]  # queries, gallery, metric


def region_folders(embeddings: Path) -> list[Path]:
    """Folders of vectors of the regions, the first region first; none for most encoders."""
    return sorted((embeddings / REGIONS).glob("*"), key=lambda folder: int(folder.name))


def by_region(
    embeddings: Path,
    read: Callable[[Path], Pair],
    score: Callable[[Pair], dict[str, Any]],
    whole: Pair,
    memory_mb: int,
) -> dict[str, Any]:
    """``regions``: number of a region -> its scores; ``recommendation``: scores of the lists. Empty without regions.

    Args:
        embeddings: an encoder's folder of vectors.
        read: queries, gallery and metric of the benchmark, with the vectors of a folder.
        score: the evaluator.
        whole: result of ``read`` for ``embeddings`` itself; not used where embed ran with flip.
        memory_mb: megabytes that lists may take above the vectors.
    """
    folders = region_folders(embeddings)
    if not folders:
        return {}
    if (embeddings / PLAIN).is_dir():
        whole = read(embeddings / PLAIN)
    pairs = [read(folder) for folder in folders]
    by_region = {folder.name: compared(score(pair)) for folder, pair in zip(folders, pairs, strict=True)}
    return {"regions": by_region, "recommendation": recommendation(whole, pairs, memory_mb)}


def recommendation(pair: Pair, regions: Sequence[Pair], memory_mb: int) -> dict[str, float]:
    """The first ``LISTED`` recommendations, by regions in turn (``list``) and by whole pictures (``whole``).

    Args:
        memory_mb: as in ``by_region``.

    Returns:
        n_scored: queries that have a match, ``QUERIES`` at most; n_missed: those that were not detected;
        <way>_hit_at_<k>: share of them whose item is among the first k; undetected ones are misses;
        <way>_categories: mean number of different categories among all ``LISTED``, over detected queries; left out
        if the gallery has one category.
    """
    queries, gallery, metric = pair
    with_match = _with_match(queries, gallery)
    detected = [row for row in with_match if queries.detected[row]]
    if not detected:
        return {"n_scored": len(with_match), "n_missed": len(with_match)} | (
            {f"{way}_{measure.key}": 0.0 for way in WAYS for measure in HIT.at(HITS)} if with_match else {}
        )
    query_items, gallery_items = (np.array(rows.items.to_pylist(), object) for rows in (queries, gallery))
    categories = np.array(gallery.categories.to_pylist())
    by_whole = nearest(queries, gallery, metric, detected, LISTED)
    lists_of = {
        "list": _listed(queries, gallery, regions, detected, memory_mb),
        "whole": [np.array([at for at, _ in by_whole[row]]) for row in detected],
    }
    scores: dict[str, float] = {"n_scored": len(with_match), "n_missed": len(with_match) - len(detected)}
    several = len(np.unique(categories)) > 1
    for way, lists in lists_of.items():
        right = [gallery_items[at] == query_items[row] for row, at in zip(detected, lists, strict=True)]
        scores |= {
            f"{way}_{measure.key}": sum(bool(hits[: measure.k[0]].any()) for hits in right) / len(with_match)
            for measure in HIT.at(HITS)
        }
        if several:
            scores[f"{way}_categories"] = float(np.mean([len(set(categories[at])) for at in lists]))
    return scores


def _listed(
    queries: Rows, gallery: Rows, regions: Sequence[Pair], detected: Sequence[int], memory_mb: int
) -> list[np.ndarray]:
    """Gallery positions in the list of each detected query, without the query itself."""
    place = {name: at for at, name in enumerate(gallery.ids.to_pylist())}
    own = [place.get(name, -1) for name in queries.ids.take(pa.array(detected)).to_pylist()]
    of_queries = np.stack([pair[0].vectors[detected] for pair in regions], axis=1)
    of_gallery = [pair[1].vectors for pair in regions]
    lists = []
    for regions_of, near in zip(of_queries, shortlists(of_queries, of_gallery, own, LISTED, memory_mb), strict=True):
        step = max(1, BLOCK_BYTES // (8 * of_queries[0].size))
        chunks = (near[start : start + step] for start in range(0, len(near), step))
        distances = [
            region_distances(regions_of, np.stack([vectors[chunk] for vectors in of_gallery], axis=1))
            for chunk in chunks
        ]
        ids = gallery.ids.take(pa.array(near)).to_pylist()
        listed = diverse_list(np.concatenate(distances, axis=1), ids, LISTED)
        lists.append(np.array([place[name] for name, _ in listed]))
    return lists


def shortlists(
    of_queries: np.ndarray, of_gallery: Sequence[np.ndarray], own: Sequence[int], count: int, memory_mb: float
) -> Iterator[np.ndarray]:
    """For each query, gallery positions that include the ``count`` nearest pictures to each of its regions.

    A few queries at a time, by matrix products in float64; pictures that tie with the last one are included.

    Args:
        of_queries: [n, K, d] of unit length.
        of_gallery: for each region [m, d], of unit length.
        own: position of each query in the gallery, which is left out, or -1.
    """
    (_, regions, width), rows = of_queries.shape, len(of_gallery[0])
    # Half for distances, a quarter for vectors of the gallery and their products.
    step = max(1, int(memory_mb * 500_000 / (8 * regions * rows)) - 1)
    columns = max(1, int(memory_mb * 250_000 / (16 * (width + 2 * step * regions))))
    for start in range(0, len(of_queries), step):
        asking = of_queries[start : start + step].astype(np.float64)
        flat = asking.reshape(-1, width)
        distances = np.full((len(flat), rows), np.inf)
        for first in range(0, rows, columns):
            span = slice(first, min(first + columns, rows))
            for vectors in of_gallery:
                block = vectors[span].astype(np.float64)
                squares = flat @ block.T
                squares *= -2
                squares += (block**2).sum(1)
                np.minimum(distances[:, span], squares, out=distances[:, span])
        for each, place in zip(distances.reshape(len(asking), regions, rows), own[start : start + step], strict=True):
            if place >= 0:
                each[:, place] = np.inf
            last = np.partition(each, min(count, rows) - 1, axis=1)[:, [min(count, rows) - 1]]
            yield np.flatnonzero(((each <= last + CLOSE) & np.isfinite(each)).any(axis=0))


def _with_match(queries: Rows, gallery: Rows) -> list[int]:
    """Rows of at most ``QUERIES`` queries with a match that is another picture, evenly by id."""
    matches: dict[Any, set[Any]] = {}
    for name, item in zip(gallery.ids.to_pylist(), gallery.items.to_pylist(), strict=True):
        matches.setdefault(item, set()).add(name)
    by_id = pc.sort_indices(queries.ids).to_numpy()
    ids, items = queries.ids.to_pylist(), queries.items.to_pylist()
    rows = [int(row) for row in by_id if items[row] is not None and matches.get(items[row], set()) - {ids[row]}]
    return rows if len(rows) <= QUERIES else [rows[at * (len(rows) - 1) // (QUERIES - 1)] for at in range(QUERIES)]
