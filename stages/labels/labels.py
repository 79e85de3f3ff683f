"""Label policies: upstream's annotations of one source become the classes of the heads.

Reads INGESTED/items.parquet and the shards next to it (not their pictures), the merge tables in TABLES and the
corrections in RELABEL. Writes OUT/labels.parquet (schema LABELS, one row an item, sorted by item_id; null = unknown),
OUT/values.json (counts of each value of each head before and after), OUT/rejects.parquet and
OUT/account.json, where each value that became unknown is counted by name.
Params: labels (which policy reads which source, gender_policy, group_superclass, catalogues).

    python -m stages.run labels SOURCE INGESTED TABLES RELABEL OUT

Corrections by hand (``data/relabel.csv``) are applied after every policy. One line corrects one value:
``source,item_id,column,value,reason``. An empty value makes it unknown. A corrected superclass is also the only one
that a detection may have to agree. Type and superclass are corrected separately.
"""

import argparse
import csv
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pyarrow as pa

from stages.contracts.ledger import Account
from stages.contracts.tables import LABELS, RELABEL, read_shards, read_table, write_table
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, write_json
from stages.core.heads import HEADS
from stages.labels import catalogue, deepfashion_mm, fashion_products
from stages.labels.merging import EMPTY, LabelTables, read_label_tables
from stages.labels.params import LabelParams
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

HEADER = list(RELABEL)
CORRECTABLE = ("superclass", *HEADS)


@dataclass(frozen=True)
class Correction:
    """One line of the file; ``where`` is file and line for messages."""

    source: str
    item_id: str
    column: str
    value: str
    where: str


def read_corrections(path: Path, sources: Collection[str]) -> list[Correction]:
    """Every correction of the file, for all sources.

    Args:
        sources: the valid sources (those with a label policy).

    Raises:
        StageError: the file is missing or a line is invalid; the message names file and line.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file; expected at least the line {','.join(HEADER)}. Create it.")
    try:
        path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Save it as CSV UTF-8.") from None
    corrections: list[Correction] = []
    seen: dict[tuple[str, str, str], str] = {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if header != HEADER:
            raise StageError(f"{path}, line 1: found {','.join(header)!r}, expected {','.join(HEADER)}.")
        for row in reader:
            if not row:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(HEADER):
                raise StageError(
                    f"{where}: {len(row)} fields, expected {len(HEADER)} ({','.join(HEADER)}). "
                    "Quote a field that holds a comma."
                )
            correction = Correction(*(cell.strip() for cell in row[:4]), where=where)
            _check_line(correction, sources)
            key = (correction.source, correction.item_id, correction.column)
            if key in seen:
                raise StageError(f"{where}: {', '.join(key)} is already corrected in {seen[key]}. Keep one of the two.")
            seen[key] = where
            corrections.append(correction)
    return corrections


def _check_line(correction: Correction, sources: Collection[str]) -> None:
    if correction.source not in sources:
        raise StageError(
            f"{correction.where}: source {correction.source!r} is not known; expected one of: {shown(sources)}."
        )
    if correction.column not in CORRECTABLE:
        raise StageError(
            f"{correction.where}: column {correction.column!r} cannot be corrected; expected one of: "
            f"{shown(CORRECTABLE)}."
        )
    if correction.column == "superclass" and not correction.value:
        raise StageError(f"{correction.where}: the superclass cannot be unknown. Give one, or delete the line.")


def apply_corrections(
    labels: pd.DataFrame,
    corrections: list[Correction],
    vocabulary: Mapping[str, set[str]],
    left_out: Collection[str],
) -> tuple[pd.DataFrame, Counter]:
    """Corrected labels, and how many values were corrected in each column.

    Args:
        labels: columns item_id, agrees and ``CORRECTABLE``.
        corrections: those of this source.
        vocabulary: the valid values of each column, so that no typo becomes a class.
        left_out: ids that a policy rejected. A correction of such an item has no effect and is counted as ``rejected``;
            under other params it may have one.

    Raises:
        StageError: an item or a value is not known; the message names file and line.
    """
    labels = labels.set_index("item_id", drop=False)
    counts: Counter = Counter()
    for correction in corrections:
        known = vocabulary[correction.column]
        if correction.value and correction.value not in known:
            raise StageError(
                f"{correction.where}: {correction.column} {correction.value!r} is not known; expected one of: "
                f"{shown(known, 40)}, or nothing for unknown."
            )
        if correction.item_id in left_out:
            counts["rejected"] += 1
            continue
        if correction.item_id not in labels.index:
            raise StageError(
                f"{correction.where}: {correction.source} has no item {correction.item_id!r} among its "
                f"{len(labels) + len(left_out)} items. Correct the item_id or delete the line."
            )
        labels.at[correction.item_id, correction.column] = correction.value or None
        if correction.column == "superclass":
            labels.at[correction.item_id, "agrees"] = [correction.value]
        counts[correction.column] += 1
    return labels.reset_index(drop=True), counts


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
        StageError: there are no items, a column is missing, an id repeats or an image is missing.
    """
    path = ingested / "items.parquet"
    items = read_table(path).to_pandas()
    if items.empty:
        raise StageError(
            f"{path}: the data set is empty; expected at least one labeled item. Check that the download is unpacked "
            "where `raw` in params.yaml points, and look into account.json next to it for what ingest rejected."
        )
    missing = {"item_id", "image_id", *columns} - set(items.columns)
    if missing:
        raise StageError(
            f"{path}: column {shown(missing)} is missing; found: {shown(items.columns)}. "
            "Check that `labels.policies` names the policy of this source, then run `dvc repro`."
        )
    repeated = items["item_id"][items["item_id"].duplicated()]
    if len(repeated):
        raise StageError(f"{path}: item_id {shown(repeated)} occurs more than once. Run `dvc repro` again.")
    images = read_shards(ingested, FROM_IMAGES).to_pandas()
    orphans = items["item_id"][~items["image_id"].isin(set(images["image_id"]))]
    if len(orphans):
        raise StageError(f"{path}: item {shown(orphans)} has no image in the shards next to it. Run `dvc repro` again.")
    own = ["item_id", "image_id", *columns]
    items = items[own].sort_values("item_id", ignore_index=True)  # rejects then have a fixed order as well
    return items.merge(images, on="image_id", how="left", validate="many_to_one")


def label_items(
    items: pd.DataFrame, tables: LabelTables, params: LabelParams, relabel: Path, account: Account
) -> pd.DataFrame:
    """Apply the policy of the account's source, then corrections by hand; rows as in LABELS, sorted by item_id."""
    ledger = account.ledger("items")
    ledger.rows_in = len(items)
    policy = params.policy_of(account.source)
    labels = POLICIES[policy].label(items, tables, params, account)
    fingerprints = dict(zip(items["item_id"], items["fingerprint"], strict=True))
    labels = labels.assign(source=account.source, fingerprint=labels["item_id"].map(fingerprints))
    labels = labels.reindex(columns=LABELS.names)
    labels = labels.astype(dict.fromkeys(LABELS.names, object))

    vocabulary = tables.vocabulary()
    if policy == "catalogue":  # the types of a catalogue are those of its label table
        vocabulary["type"] = catalogue.types_of(catalogue.read_label_table(tables, params.catalogue_of(account.source)))
    corrections = [row for row in read_corrections(relabel, params.policies) if row.source == account.source]
    labels, corrected = apply_corrections(labels, corrections, vocabulary, {row.key for row in ledger.rejects})
    if skipped := corrected.pop("rejected", 0):
        account.note("corrections_of_rejected_items", {"skipped": skipped})
    kept = set(labels["item_id"])
    for correction in corrections:
        if correction.item_id in kept:
            ledger.repair(correction.item_id, f"relabeled_{correction.column}", correction.value)
    ledger.kept = len(labels)
    account.note("known", {head: int(labels[head].notna().sum()) for head in HEADS})
    return labels.sort_values("item_id", ignore_index=True)


def value_counts(upstream: dict[str, pd.Series], labels: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """For each head the counts of each value in upstream's annotations (before) and in the labels (after).

    Args:
        upstream: head -> upstream's values of all items, rejected ones too; null = not annotated.
        labels: the kept rows, with one column a head.
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
    """An Arrow table with exactly the schema LABELS; pandas' metadata would put its version into the file."""
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
        log.info(line)
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
