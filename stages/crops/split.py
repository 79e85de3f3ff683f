"""Splits that no group and no near-duplicate cluster crosses: pure functions over label rows."""

from collections import defaultdict
from typing import Any

from stages.core.errors import StageError
from stages.core.splits import SPLITS, hash_split


def connected(rows: list[dict[str, Any]]) -> list[str]:
    """The leakage unit of each row: rows that share source and group, or source and cluster, share the unit.

    Sharing is transitive: a photo that appears under two people ties the two together. A unit is named by
    the smallest key in it.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in rows:
        group, cluster = (f"{row['source']}/{kind}/{row[kind]}" for kind in ("group_id", "cluster"))
        low, high = sorted((root(group), root(cluster)))
        parent[high] = low
    return [root(f"{row['source']}/group_id/{row['group_id']}") for row in rows]


def assign(rows: list[dict[str, Any]], shares: tuple[float, float, float], upstream: list[str]) -> list[str]:
    """Split of each row: by a hash of its unit, or upstream's for the sources named in ``upstream``.

    Where upstream's own split cuts through a unit, the unit goes whole to the most held-out of its splits.
    """
    units = connected(rows)
    held_out: dict[str, str] = {}
    for row, unit in zip(rows, units, strict=True):
        if row["source"] in upstream:
            held_out[unit] = max(held_out.get(unit, "train"), row["split"], key=SPLITS.index)
    return [held_out.get(unit) or hash_split(unit, shares) for unit in units]


def check_no_leakage(rows: list[dict[str, Any]]) -> None:
    """Every group and every cluster lies in one split.

    Raises:
        StageError: naming the first that does not.
    """
    for kind in ("group_id", "cluster"):
        splits = defaultdict(set)
        for row in rows:
            splits[row["source"], row[kind]].add(row["split"])
        for (source, key), found in sorted(splits.items()):
            if len(found) > 1:
                raise StageError(f"leakage: {kind} {key!r} of {source} is in splits {', '.join(sorted(found))}.")
