"""Parts of the report about vectors: what queries found by each encoder, and a map of each benchmark's rows."""

from typing import Any

import numpy as np
from scipy.linalg import eigh

from stages.core.heads import HEADS
from stages.page.lookup import OF_CROPS, Profile, Row, pick
from stages.page.pictures import Pictures
from stages.page.ranks import Pair, load_pair, rankings

QUERIES, RESULTS, POINTS = 24, 5, 160  # of a benchmark: queries, what each shows, rows of the map
SIZE = (600, 540)  # of the map, in its own units


def row_key(profile: Profile, benchmark: str, row_id: str) -> str:
    """The key of the picture of a benchmark's row; benchmarks that crop the same source alike share it."""
    card = profile.benchmark(benchmark)
    if card["kind"] in OF_CROPS:
        return row_id
    boxes = card.get("boxes", "whole")
    return f"{card['source']}:{row_id}" + ("" if boxes == "whole" else f" ({boxes})")


def gallery(
    profile: Profile, pictures: Pictures, encoders: list[str], names: list[str], first: str, share: float
) -> Row:
    """Results of some queries of each benchmark, chosen by the hash of their id, by each encoder; and the map's points.

    Args:
        share: of QUERIES and POINTS that are shown.

    Returns:
        ``gallery``: ``encoders``, ``first``, ``metrics``; ``benchmarks``: name, queries, keys of gallery rows;
        ``rankings``: encoder -> benchmark -> for each query its results [gallery row, score, right] and the best right
        one [gallery row, rank, score]. ``space``: ``encoders``, ``benchmarks``: name, keys, attributes; ``places``:
        encoder -> benchmark -> [x, y] of each key. ``rows``: key -> benchmark and row id, of all of these.
    """
    shown: dict[str, Row] = {}
    points: dict[str, Row] = {}
    rows: dict[str, tuple[str, str]] = {}
    result: dict[str, dict[str, Any]] = {name: {} for name in encoders}
    places: dict[str, dict[str, Any]] = {name: {} for name in encoders}
    metrics: dict[str, str] = {}
    for benchmark in names:
        used: dict[int, int] = {}  # row of the gallery -> its number on the page
        for encoder in encoders:
            pair = load_pair(profile, encoder, benchmark)
            metrics[encoder] = pair.metric if pair.metric == "cosine" else "distance"
            if benchmark not in shown:
                shown[benchmark] = _queries(profile, pictures, benchmark, pair, rows, round(QUERIES * share))
                points[benchmark] = _points(profile, pictures, benchmark, pair, rows, round(POINTS * share))
            ranked = rankings(pair, shown[benchmark]["places"], RESULTS)
            at = {row_id: place for place, row_id in enumerate(pair.names["gallery"]["row_id"])}

            def number(row_id: str, at: dict[str, int] = at, used: dict[int, int] = used) -> int:
                return used.setdefault(at[row_id], len(used))

            result[encoder][benchmark] = [_ranking(entry, number) for entry in ranked]
            places[encoder][benchmark] = flat(_vectors(pair, points[benchmark]["rows"]))
        keys = []
        for place in used:
            row_id = pair.names["gallery"]["row_id"][place]
            keys.append(_ask(profile, pictures, benchmark, "gallery", row_id, rows))
        shown[benchmark]["gallery"] = keys
    for entry in shown.values():
        del entry["places"]
    for entry in points.values():
        del entry["rows"]
    shared: Row = {"encoders": encoders, "first": encoders.index(first)}
    return {
        "gallery": {**shared, "metrics": metrics, "benchmarks": list(shown.values()), "rankings": result},
        "space": {"encoders": encoders, "first": first, "benchmarks": list(points.values()), "places": places},
        "rows": rows,
    }


def _ask(
    profile: Profile, pictures: Pictures, benchmark: str, role: str, row_id: str, rows: dict[str, tuple[str, str]]
) -> str:
    key = row_key(profile, benchmark, row_id)
    rows.setdefault(key, (benchmark, row_id))
    return pictures.ask(key, profile.data / "benchmarks" / benchmark / f"{role}.parquet", "row_id", row_id)


def _queries(
    profile: Profile, pictures: Pictures, benchmark: str, pair: Pair, rows: dict[str, tuple[str, str]], most: int
) -> Row:
    names = pair.names["queries"]
    known = {item for item in names["item"] if item is not None} & set(pair.names["gallery"]["item"])
    candidates = [
        {"at": at, "row_id": row_id} for at, row_id in enumerate(names["row_id"]) if names["item"][at] in known
    ] or [{"at": at, "row_id": row_id} for at, row_id in enumerate(names["row_id"])]
    chosen = pick(candidates, lambda row: row["row_id"], most)
    queries = [
        {
            "key": _ask(profile, pictures, benchmark, "queries", row["row_id"], rows),
            "row_id": row["row_id"],
            "category": names["category"][row["at"]] or "unknown",
        }
        for row in chosen
    ]
    return {"name": benchmark, "queries": queries, "total": len(candidates), "places": [row["at"] for row in chosen]}


def _ranking(entry: Row, number: Any) -> Row | None:
    if not entry["detected"]:
        return None
    match = entry["match"]
    return {
        "results": [[number(hit["row_id"]), round(hit["score"], 3), int(hit["correct"])] for hit in entry["results"]],
        "match": match and [number(match["row_id"]), match["rank"], round(match["score"], 3)],
    }


def _points(
    profile: Profile, pictures: Pictures, benchmark: str, pair: Pair, rows: dict[str, tuple[str, str]], most: int
) -> Row:
    """Rows of the map: the first by hash of their id, of queries and gallery together, those with a vector."""
    every = [
        {"part": role, "at": at, "row_id": row_id}
        for role, side in (("queries", pair.queries), ("gallery", pair.gallery))
        for at, row_id in enumerate(pair.names[role]["row_id"])
        if side.detected[at]
    ]
    seen: dict[str, Row] = {}
    for row in every:  # a row that asks may stand in the gallery too
        seen.setdefault(row["row_id"], row)
    chosen = pick(seen.values(), lambda row: row["row_id"], most)
    keys = [_ask(profile, pictures, benchmark, row["part"], row["row_id"], rows) for row in chosen]
    attributes: dict[str, list[str]] = {}
    attributes["category"] = [pair.names[row["part"]]["category"][row["at"]] or "unknown" for row in chosen]
    if profile.benchmark(benchmark)["kind"] in OF_CROPS:
        crops = [profile.crops.get(row["row_id"], {}) for row in chosen]
        for name in (*HEADS, "view", "detected_class"):
            values = [crop.get(name) or "unknown" for crop in crops]
            if len(set(values)) > 1:
                attributes[name] = values
    attributes["part"] = [row["part"] for row in chosen]
    return {"name": benchmark, "keys": keys, "attributes": attributes, "rows": [(r["part"], r["at"]) for r in chosen]}


def _vectors(pair: Pair, rows: list[tuple[str, int]]) -> np.ndarray:
    sides = {"queries": pair.queries, "gallery": pair.gallery}
    vectors = np.array([sides[role].vectors[at] for role, at in rows], np.float64)
    if pair.metric == "cosine" and len(vectors):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(lengths > 0, lengths, 1)
    return vectors


def flat(vectors: np.ndarray) -> list[list[float]]:
    """Places [n, 2] of vectors [n, d] on the map: their two principal components, each scaled to fill it.

    The components come from the products of all pairs, n x n. A component's sign is that of its longest entry, so that
    the same vectors give the same map.
    """
    if len(vectors) < 3:
        return [[SIZE[0] / 2, SIZE[1] / 2] for _ in vectors]
    centered = vectors - vectors.mean(axis=0)
    count = len(vectors)
    # Two of n directions: a tenth of the time of all of them.
    strengths, directions = eigh(centered @ centered.T, subset_by_index=[count - 2, count - 1])
    columns = []
    for place, size in zip((-1, -2), SIZE, strict=True):
        column = directions[:, place] * np.sqrt(max(strengths[place], 0.0))
        column = column * np.sign(column[np.abs(column).argmax()] or 1.0)
        low, high = column.min(), column.max()
        spread = (column - low) / (high - low) if high - low > 1e-9 else np.full(len(column), 0.5)
        columns.append(12 + spread * (size - 24))
    return [[round(float(x), 1), round(float(y), 1)] for x, y in zip(*columns, strict=True)]
