"""Splits that no group and no near-duplicate picture crosses, within and between sources: pure functions over rows."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from stages.contracts.disjoint import connected
from stages.contracts.splits import SPLITS, hash_split
from stages.core.errors import StageError
from stages.ingest.fingerprint import near_duplicates

KINDS = ("group_id", "cluster", "picture")


def pictures(rows: list[dict[str, Any]], hamming: int, color: float) -> list[str]:
    """The near-duplicate cluster of each row's picture over all sources: pictures that look alike share a name.

    Ingest finds near duplicates within a source; the same photo may also be in two.

    Args:
        rows: label rows with source, image_id and fingerprint.
        hamming, color: as in ``stages.ingest.fingerprint.near_duplicates``.
    """
    keys = sorted({(row["source"], row["image_id"]) for row in rows})
    of_image = {(row["source"], row["image_id"]): row["fingerprint"] for row in rows}
    firsts = near_duplicates([of_image[key] for key in keys], hamming, color)
    names = {key: "/".join(keys[first]) for key, first in zip(keys, firsts, strict=True)}
    return [names[row["source"], row["image_id"]] for row in rows]


def leakage_keys(row: dict[str, Any], namespaces: Mapping[str, str]) -> dict[str, str]:
    """What ties a row to others: its group, its source's near-duplicate cluster, its picture over all sources.

    Args:
        row: a label row with group_id, cluster and picture (see ``pictures``).
        namespaces: source -> namespace of its group ids. Sources with one namespace share people: the same id is the
            same person. By default a source's ids are its own.
    """
    namespace = namespaces.get(row["source"], row["source"])
    return {
        "group_id": f"{namespace}/group_id/{row['group_id']}",
        "cluster": f"{row['source']}/cluster/{row['cluster']}",
        "picture": f"picture/{row['picture']}",
    }


def leakage_units(rows: list[dict[str, Any]], namespaces: Mapping[str, str]) -> list[str]:
    """The leakage unit of each row: rows that share one of ``leakage_keys`` share the unit.

    Sharing is transitive: a photo that appears under two people ties the two together. A unit is named by
    the smallest key in it.
    """
    keys = [tuple(leakage_keys(row, namespaces).values()) for row in rows]
    units = connected((group, other) for group, *others in keys for other in others)
    return [units[group] for group, *_ in keys]


def assign(
    rows: list[dict[str, Any]],
    shares: tuple[float, float, float],
    upstream: list[str],
    namespaces: Mapping[str, str],
) -> list[str]:
    """Split of each row: by a hash of its unit, or upstream's for the sources named in ``upstream``.

    Where upstream's own split cuts through a unit, the unit goes whole to the most held-out of its splits.
    """
    units = leakage_units(rows, namespaces)
    held_out: dict[str, str] = {}
    for row, unit in zip(rows, units, strict=True):
        if row["source"] in upstream:
            held_out[unit] = max(held_out.get(unit, "train"), row["split"], key=SPLITS.index)
    return [held_out.get(unit) or hash_split(unit, shares) for unit in units]


def check_no_leakage(rows: list[dict[str, Any]], namespaces: Mapping[str, str]) -> dict[str, int]:
    """Every group, cluster and picture lies in one split; how many of each there are.

    Raises:
        StageError: naming the first that does not.
    """
    found: dict[str, dict[str, set[str]]] = {kind: defaultdict(set) for kind in KINDS}
    for row in rows:
        for kind, key in leakage_keys(row, namespaces).items():
            found[kind][key].add(row["split"])
    for kind, splits in found.items():
        for key, names in sorted(splits.items()):
            if len(names) > 1:
                raise StageError(f"leakage: {kind} {key!r} is in splits {', '.join(sorted(names))}.")
    return {kind: len(splits) for kind, splits in found.items()}
