"""Label policies: upstream's annotations of one source become the classes of the heads.

Reads INGESTED/items.parquet and the shards beside it (not their pictures), the merge tables in TABLES and the
corrections in RELABEL. Writes OUT/labels.parquet (schema LABELS, one row an item, sorted by item_id; null = unknown),
OUT/values.json (how often each value of each head stands there before and after), OUT/rejects.parquet and
OUT/account.json, where each value that became unknown is counted by name.
Params: labels (which policy reads which source, gender_policy, group_superclass, catalogues).

    python -m stages.run labels SOURCE INGESTED TABLES RELABEL OUT
"""

import argparse
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pyarrow as pa

from stages.contracts.ledger import Account
from stages.contracts.tables import HEADS, LABELS, read_shards, read_table, write_table
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, write_json
from stages.labels import catalogue, deepfashion_mm, fashion_products
from stages.labels.merge_tables import LabelTables, read_label_tables
from stages.labels.merging import EMPTY
from stages.labels.params import LabelParams
from stages.labels.relabel import apply_corrections, read_corrections
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

POLICIES: dict[str, ModuleType] = {
    "fashion_products": fashion_products,
    "deepfashion_mm": deepfashion_mm,
    "catalogue": catalogue,
}
FROM_IMAGES = ["image_id", "split", "group_id", "cluster", "fingerprint"]


def read_items(ingested: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Upstream's rows, each with split, group_id and cluster of its image.

    Args:
        columns: upstream's columns that the policy reads.

    Raises:
        StageError: when there are no items, a column is missing, an id repeats or an image is not there.
    """
    path = ingested / "items.parquet"
    items = read_table(path).to_pandas()
    if items.empty:
        raise StageError(
            f"{path}: the data set is empty; expected at least one labelled item. Check that the download is unpacked "
            "where `raw` in params.yaml points, and look into account.json beside it for what ingest rejected."
        )
    missing = {"item_id", "image_id", *columns} - set(items.columns)
    if missing:
        raise StageError(
            f"{path}: column {shown(missing)} is missing; found: {shown(items.columns)}. "
            "Check that `labels.policies` names the policy of this source, then run `dvc repro`."
        )
    repeated = items["item_id"][items["item_id"].duplicated()]
    if len(repeated):
        raise StageError(f"{path}: item_id {shown(repeated)} stands there more than once. Run `dvc repro` again.")
    images = read_shards(ingested, FROM_IMAGES).to_pandas()
    orphans = items["item_id"][~items["image_id"].isin(set(images["image_id"]))]
    if len(orphans):
        raise StageError(f"{path}: item {shown(orphans)} has no image in the shards beside it. Run `dvc repro` again.")
    own = ["item_id", "image_id", *columns]
    items = items[own].sort_values("item_id", ignore_index=True)  # so that rejects have a fixed order too
    return items.merge(images, on="image_id", how="left", validate="many_to_one")


def label_items(
    items: pd.DataFrame, tables: LabelTables, params: LabelParams, relabel: Path, account: Account
) -> pd.DataFrame:
    """The policy of the account's source, then the corrections by hand; rows as in LABELS, sorted by item_id."""
    ledger = account.ledger("items")
    ledger.rows_in = len(items)
    policy = params.policy_of(account.source)
    labels = POLICIES[policy].label(items, tables, params, account)
    fingerprints = dict(zip(items["item_id"], items["fingerprint"], strict=True))
    labels = labels.assign(source=account.source, fingerprint=labels["item_id"].map(fingerprints))
    labels = labels.reindex(columns=LABELS.names)
    labels = labels.astype(dict.fromkeys(LABELS.names, object))

    vocabulary = tables.vocabulary()
    if policy == "catalogue":  # a catalogue brings its own types
        vocabulary["type"] = catalogue.types_of(catalogue.read_label_table(tables, params.catalogue_of(account.source)))
    corrections = [row for row in read_corrections(relabel, params.policies) if row.source == account.source]
    labels, corrected = apply_corrections(labels, corrections, vocabulary, {row.key for row in ledger.rejects})
    if skipped := corrected.pop("rejected", 0):
        account.note("corrections_of_rejected_items", {"skipped": skipped})
    kept = set(labels["item_id"])
    for correction in corrections:
        if correction.item_id in kept:
            ledger.repair(correction.item_id, f"relabelled_{correction.column}", correction.value)
    ledger.kept = len(labels)
    account.note("known", {head: int(labels[head].notna().sum()) for head in HEADS})
    return labels.sort_values("item_id", ignore_index=True)


def value_counts(upstream: dict[str, pd.Series], labels: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """For each head how often each value stands in upstream's annotations (before) and in the labels (after).

    Args:
        upstream: head -> upstream's values of all items, rejected ones too; null = not annotated.
        labels: the rows that stayed, with one column a head.
    """
    after = {head: labels[head] for head in HEADS}
    return {
        head: {
            "before": _counts(upstream[head]) if head in upstream else {},
            "after": _counts(after[head]),
        }
        for head in HEADS
    }


def _counts(values: pd.Series) -> dict[str, int]:
    return dict(Counter(value or EMPTY for value in values.dropna()))


def to_table(labels: pd.DataFrame) -> pa.Table:
    """As Arrow with exactly the schema LABELS; pandas' own metadata would name its version in the file."""
    return pa.Table.from_pandas(labels, schema=LABELS, preserve_index=False).replace_schema_metadata(None)


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, label, write, report."""
    policy = params.labels.policy_of(args.source)
    own = POLICIES[policy]
    columns = own.columns(params.labels, args.source)
    items = read_items(args.ingested, columns)
    account = Account(args.source)
    tables = read_label_tables(args.tables)
    labels = label_items(items, tables, params.labels, args.relabel, account)
    for line in account.lines():
        say(line)
    if labels.empty:
        reasons = account.ledger("items").summary()["rejected"]
        raise StageError(
            f"{args.ingested / 'items.parquet'}: every one of its {len(items)} items was rejected ({reasons}); "
            f"expected some to stay. Check `labels` in params.yaml and the tables in {args.tables}."
        )
    write_table(fresh_folder(args.out) / "labels.parquet", to_table(labels))
    upstream = own.upstream_values(items, tables, params.labels, args.source)
    write_json(args.out / "values.json", value_counts(upstream, labels))
    account.write(args.out)
    return Report(metrics={"rows_in": len(items), "rows_kept": len(labels)})


STAGE = Stage(main, ["source", "ingested", "tables", "relabel", "out"], {"labels": ("labels", LabelParams)})
