"""Merge the crops of all sources and split them by group, without leakage between people, senders or pictures.

Reads:  crops/<source> and labels/<source> of every source in params ``label_sources``.
Writes: shard-*.parquet (schema CROPS, split = the data set's), items.parquet (every labeled item with its
        split and outcome), vocabulary.json (classes of each head, from the training split), statistics.json,
        account.json.
Params: dataset, label_sources.
"""

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from stages.contracts.disjoint import connected
from stages.contracts.ledger import Account
from stages.contracts.tables import (
    CROPS,
    LABELS,
    OUTCOMES,
    SPLITS,
    hash_split,
    iter_shards,
    read_shards,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_json
from stages.core.heads import HEADS
from stages.core.params import Names
from stages.crops.params import DatasetParams
from stages.ingest.fingerprint import near_duplicates
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

LEAKAGE_KEYS = ("group_id", "cluster", "picture")


def pictures(rows: list[dict[str, Any]], hamming: int, color: float) -> list[str]:
    """The near-duplicate cluster of each row's picture over all sources; near duplicates share a cluster name.

    Ingest finds near duplicates within a source; here those between sources are found as well.

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
    """Keys that tie a row to others: its group, its near-duplicate clusters in its source and over all sources.

    Args:
        row: a label row with group_id, cluster and picture (see ``pictures``).
        namespaces: source -> namespace of its group ids. In sources of one namespace the same id is the
            same person. By default each source has a namespace of its own.
    """
    namespace = namespaces.get(row["source"], row["source"])
    return {
        "group_id": f"{namespace}/group_id/{row['group_id']}",
        "cluster": f"{row['source']}/cluster/{row['cluster']}",
        "picture": f"picture/{row['picture']}",
    }


def leakage_units(rows: list[dict[str, Any]], namespaces: Mapping[str, str]) -> list[str]:
    """The leakage unit of each row: rows that share one of ``leakage_keys`` share the unit.

    Sharing is transitive: a photo that appears under two people ties them together. The name of a unit is its smallest
    key.
    """
    keys = [tuple(leakage_keys(row, namespaces).values()) for row in rows]
    units = connected((group, key) for group, *linked in keys for key in linked)
    return [units[group] for group, *_ in keys]


def assign(
    rows: list[dict[str, Any]],
    shares: tuple[float, float, float],
    upstream: list[str],
    namespaces: Mapping[str, str],
) -> list[str]:
    """Split of each row: by a hash of its unit, or upstream's for the sources named in ``upstream``.

    If upstream's split divides a unit, the whole unit goes to the most held-out of its splits.
    """
    units = leakage_units(rows, namespaces)
    held_out: dict[str, str] = {}
    for row, unit in zip(rows, units, strict=True):
        if row["source"] in upstream:
            held_out[unit] = max(held_out.get(unit, "train"), row["split"], key=SPLITS.index)
    return [held_out.get(unit) or hash_split(unit, shares) for unit in units]


def check_no_leakage(rows: list[dict[str, Any]], namespaces: Mapping[str, str]) -> dict[str, int]:
    """Check that every group, cluster and picture is in one split; the number of each.

    Raises:
        StageError: naming the first one that is in two.
    """
    splits_of: dict[str, dict[str, set[str]]] = {kind: defaultdict(set) for kind in LEAKAGE_KEYS}
    for row in rows:
        for kind, key in leakage_keys(row, namespaces).items():
            splits_of[kind][key].add(row["split"])
    for kind, splits in splits_of.items():
        for key, names in sorted(splits.items()):
            if len(names) > 1:
                raise StageError(f"leakage: {kind} {key!r} is in splits {', '.join(sorted(names))}.")
    return {kind: len(splits) for kind, splits in splits_of.items()}


WITHOUT_PICTURE = [name for name in CROPS.names if name != "bytes"]
ITEMS = LABELS.append(pa.field("outcome", pa.string())).append(pa.field("picture", pa.string()))


def vocabulary(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Classes of each head in sorted order, from the rows of the training split; empty = no row has a label."""
    train = [row for row in rows if row["split"] == "train"]
    return {head: sorted({row[head] for row in train if row[head] is not None}) for head in HEADS}


def statistics(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by split and source, and for each head how many rows of each split and of each source have a label."""
    result: dict[str, Any] = {"rows": _counts(f"{row['split']} {row['source']}" for row in rows)}
    result["coverage"] = {head: _counts(row["source"] for row in rows if row[head] is not None) for head in HEADS}
    result["superclass"] = _counts(f"{row['split']} {row['superclass']}" for row in rows)
    result["labeled"] = {head: _counts(row["split"] for row in rows if row[head] is not None) for head in HEADS}
    result["values"] = {
        head: {split: _counts(row[head] for row in rows if row["split"] == split and row[head]) for split in SPLITS}
        for head in HEADS
    }
    return result


def shared_pictures(items: list[dict[str, Any]]) -> dict[str, int]:
    """Number of pictures that several sources have, by the names of the sources."""
    sources: dict[str, set[str]] = {}
    for item in items:
        sources.setdefault(item["picture"], set()).add(item["source"])
    return _counts(" and ".join(sorted(names)) for names in sources.values() if len(names) > 1)


def _counts(keys: Any) -> dict[str, int]:
    return dict(sorted(Counter(keys).items()))


def read_items(labels: Path, crops: Path) -> list[dict[str, Any]]:
    """Label rows of one source with the outcome of their matching."""
    outcomes = read_table(crops / "outcomes.parquet", OUTCOMES, ["item_id", "outcome"]).to_pylist()
    by_item = {row["item_id"]: row["outcome"] for row in outcomes}
    rows = read_table(labels / "labels.parquet", LABELS).to_pylist()
    return [row | {"outcome": by_item[row["item_id"]]} for row in rows]


def with_pictures(rows: list[dict[str, Any]], shards: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    """The rows with their ``bytes`` from ``shards`` (crop_id, bytes), in the order of the shards, one at a time."""
    by_id = {row["crop_id"]: row for row in rows}
    for shard in shards:
        for picture in shard.to_pylist():
            yield by_id[picture["crop_id"]] | picture


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Merge, split, check, write."""
    options: DatasetParams = params.dataset
    sources = params.label_sources
    if not sources:
        raise StageError("params.yaml: `label_sources` is empty. List at least one source with labels.")
    account = Account("dataset")
    items = [item for source in sources for item in read_items(args.labels / source, args.crops / source)]
    # All items are split, not only those with a crop, because an item without one is a miss in its split.
    for item, picture in zip(items, pictures(items, options.near_hamming, options.near_color), strict=True):
        item["picture"] = picture
    namespaces = options.group_namespaces
    for item, split in zip(items, assign(items, options.shares, options.upstream_splits, namespaces), strict=True):
        item["split"] = split
    account.note("leakage units that lie in one split each", check_no_leakage(items, namespaces))
    account.note("pictures in two sources", shared_pictures(items))
    splits = {(item["source"], item["item_id"]): item["split"] for item in items}
    crops = [row for source in sources for row in read_shards(args.crops / source, WITHOUT_PICTURE).to_pylist()]
    ledger = account.ledger("crops")
    ledger.rows_in = len(crops)
    rows = [row | {"split": splits[row["source"], row["item_id"]]} for row in crops]
    classes = vocabulary(rows)
    known = {head: set(names) for head, names in classes.items()}
    unseen: Counter = Counter()
    for row in rows:
        for head in HEADS:
            # A class without a training row cannot be learned or scored. It becomes unknown, and is counted.
            if row[head] is not None and row[head] not in known[head]:
                unseen[f"{head} {row[head]}"] += 1
                row[head] = None
    for split in SPLITS:
        if not any(row["split"] == split for row in rows):
            raise StageError(
                f"dataset: no crop in split {split} ({len(rows)} crops in all). Add data or change dataset.shares."
            )
    out = fresh_folder(args.out)
    shards = (shard for source in sources for shard in iter_shards(args.crops / source, ["crop_id", "bytes"]))
    ledger.kept = write_shards(out, CROPS, with_pictures(rows, shards), "crop_id", options.shards)
    write_rows(out / "items.parquet", ITEMS, sorted(items, key=lambda row: (row["source"], row["item_id"])))
    write_json(out / "vocabulary.json", classes)
    write_json(out / "statistics.json", statistics(rows))
    account.note("labels of classes without a training row", unseen)
    account.write(out)
    counts = statistics(rows)["rows"]
    log.info("dataset: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return Report(metrics={f"rows_{name.replace(' ', '_')}": count for name, count in counts.items()})


STAGE = Stage(
    main, ["labels", "crops", "out"], {"dataset": ("dataset", DatasetParams), "label_sources": ("label_sources", Names)}
)
