"""What ingest read, repaired and rejected in a source, and whether it is the complete download. It writes nothing.

Usage: python -m stages.run ingest_report SOURCE [INGESTED [TABLES]]  (`make ingest-report SOURCE=shoes`)

INGESTED is the source's folder with account.json (by default data/<profile>/ingested/SOURCE); TABLES holds
downloads.csv.
"""

import argparse
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.contracts.ledger import REASONS
from stages.contracts.tables import SPLITS, read_shards, read_table
from stages.core.errors import StageError
from stages.core.files import read_csv, read_json
from stages.core.params import load_params, lookup, section
from stages.ingest.reading import IngestParams

log = logging.getLogger(__name__)

EXAMPLES = 3  # of each repair and each reason
# Reasons of rows whose image is missing, which do not count as images of the download.
NOT_THERE = ("missing_image", "broken_link", "unread_format", "no_annotation", "ambiguous_name")
REPAIRS = {
    "format": "the file is no JPEG, whatever its name; stored as JPEG",
    "mode": "not RGB (gray, palette, transparent, CMYK); converted to RGB, transparent pixels to white",
    "exif_rotation": "turned upright, as its EXIF tag says",
    "reversed": "corners in the wrong order; swapped",
    "clipped": "the box went beyond the image's border; clipped",
    "scaled_from_display": "the box was drawn on a smaller display; scaled to the picture",
    "scaled_from_256": "the box belongs to the picture at 256 x 256; scaled to the picture in the folder",
    "two_statuses": "the image is in pairs of several splits; it counts for the most held-out one",
    "json_before_txt": "the image has boxes in the JSON and in a YOLO file; the JSON's were taken",
    "class_of_folder": "the YOLO file's class differs from the folder's; the folder's was taken",
    "polygon": "a polygon or a rotated box; the box around it was taken",
    "commas": "commas between or inside the numbers of a label; read as separators or decimal points",
    "turned_with_image": "the box was drawn on the picture as stored; turned by its EXIF tag",
    "comma_in_last_column": "more fields than columns; joined into the last column",
}


def report(source: str, reader: str, drawn: bool, ingested: Path, tables: Path) -> str:
    """The report as plain text.

    Args:
        drawn: the demo drew this source, so it is no download.
        ingested: the source's folder with account.json, rejects, repairs and shards.
        tables: folder of downloads.csv.

    Raises:
        StageError: the source was not ingested yet.
    """
    if not (ingested / "account.json").is_file():
        raise StageError(
            f"{ingested}: source {source} was not ingested yet, there is no account.json. Run "
            f"`dvc repro ingest@{source}` (the source must be in `sources` of params.yaml)."
        )
    account = read_json(ingested / "account.json")
    notes = account.pop("notes", {})
    notes.pop("near duplicates", None)  # reported with the pictures
    lines = [f"{source} (reader {reader}), as ingested into {ingested}", ""]
    if known := completeness(account, source, drawn, published(tables)):
        lines += [*known, ""]
    repairs = _examples(read_table(ingested / "repairs.parquet"), "what")
    rejects = _examples(read_table(ingested / "rejects.parquet"), "reason")
    for table, ledger in account.items():
        if not ledger["rows_in"]:
            continue
        lines.append(f"{table}: {ledger['rows_in']} rows in, {ledger['rows_kept']} kept")
        for heading, counts, examples, meaning in (
            ("repaired", ledger["repaired"], repairs, REPAIRS),
            ("rejected", ledger["rejected"], rejects, REASONS),
        ):
            for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
                remark = f": {meaning[name]}" if name in meaning else ""
                lines.append(f"  {heading} {count} {name}{remark}")
                lines += [f"      {key}  {detail}".rstrip() for key, detail in examples[table, name]]
        lines.append("")
    lines += pictures(read_shards(ingested, ["split", "group_id", "cluster", "width", "height"]))
    for name, counts in notes.items():
        lines.append(f"{name}: {', '.join(f'{key} {value}' for key, value in counts.items())}")
    return "\n".join(lines)


def published(tables: Path) -> dict[tuple[str, str], list[tuple[int | None, str]]]:
    """(data set, table) -> (count, what and where) of downloads.csv; no count where copies differ.

    A data set is the source of its name in the profiles; own data of the same reader is another one.

    Raises:
        StageError: the file is missing, or a count is no number.
    """
    path = tables / "downloads.csv"
    counts = defaultdict(list)
    for line, row in read_csv(path, ["source", "table", "what", "count", "where"]):
        count = row["count"]
        if count and not count.isdigit():
            raise StageError(
                f"{path}, line {line}: count {count!r}, expected a whole number or none. Correct the line."
            )
        known = int(count) if count else None
        counts[row["source"], row["table"]].append((known, f"{row['what']}; {row['where']}"))
    return dict(counts)


def completeness(
    account: dict[str, Any], source: str, drawn: bool, known: dict[tuple[str, str], list[tuple[int | None, str]]]
) -> list[str]:
    """Compare the rows of each table with those of a complete download; nothing for own data."""
    lines = (
        ["This is not the complete download: the project drew this source itself (`demo_sources`)."] if drawn else []
    )
    if not any(name == source for name, _ in known):
        return lines
    for table, ledger in account.items():
        absent = NOT_THERE if table == "images" else ()
        rows_in = ledger["rows_in"] - sum(ledger["rejected"].get(reason, 0) for reason in absent)
        published_counts = known.get((source, table), [])
        counts = [count for count, _ in published_counts if count is not None]
        if not counts:
            remarks = "".join(f" ({remark})" for _, remark in published_counts)
            lines += [f"{table}: {rows_in}, no published count{remarks}"] if rows_in else []
            continue
        missing = sum(counts) - rows_in
        if missing > 0:
            verdict = f"{missing} fewer than a complete download"
        else:
            verdict = f"{-missing} more than a complete download" if missing else "complete"
        published_sizes = " + ".join(f"{count} {remark}" for count, remark in published_counts)
        lines.append(f"{table}: {rows_in}, {verdict} ({published_sizes})")
    return lines


def pictures(shards: pa.Table) -> list[str]:
    """Sizes, splits, groups and near-duplicate clusters of the kept images."""
    sizes = sorted(
        zip(shards["width"].to_pylist(), shards["height"].to_pylist(), strict=True),
        key=lambda size: (size[0] * size[1], size),
    )
    if not sizes:
        return ["no image was kept"]
    smallest, median, largest = (f"{w}x{h}" for w, h in (sizes[0], sizes[(len(sizes) - 1) // 2], sizes[-1]))
    splits = Counter(shards["split"].to_pylist())
    members = Counter(shards["cluster"].to_pylist())
    several = [count for count in members.values() if count > 1]
    return [
        f"image sizes by area: smallest {smallest}, median {median}, largest {largest}",
        f"splits: {', '.join(f'{splits[split]} {split}' for split in SPLITS)}",
        f"groups: {len(set(shards['group_id'].to_pylist()))}",
        f"near duplicates: {len(several)} clusters of more than one image, with {sum(several)} images; "
        f"{len(members)} clusters in all",
    ]


def _examples(table: pa.Table, kind: str) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(table, what or reason) -> the first keys and details."""
    examples: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in _rows(table):
        of_kind = examples[row["table"], row[kind]]
        if len(of_kind) < EXAMPLES:
            of_kind.append((row["key"], row["detail"]))
    return examples


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    batches: Iterable[pa.RecordBatch] = table.to_batches(max_chunksize=10_000)
    for batch in batches:
        yield from batch.to_pylist()


def main() -> None:
    """Print the report of a source of the active profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("ingested", type=Path, nargs="?")
    parser.add_argument("tables", type=Path, nargs="?", default=Path("tables"))
    args = parser.parse_args()
    try:
        content = load_params()
        options = section(IngestParams, f"ingest.{args.source}", content)
        ingested = args.ingested or Path("data") / str(lookup(content, "profile")) / "ingested" / args.source
        drawn = args.source in (lookup(content, "demo_sources") or [])
        print(report(args.source, options.reader, drawn, ingested, args.tables))
    except StageError as error:
        log.error(f"{error}")
        sys.exit(1)
