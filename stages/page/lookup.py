"""A profile's tables, looked up by id: what became of an image, an item, a query. ``trace`` and the report share this.

Nothing here knows params.yaml: which sources, encoders and benchmarks there are, the folders that stages wrote say.
"""

import csv
import difflib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError
from stages.core.files import digest, read_json
from stages.core.heads import HEADS
from stages.retrieval.metrics import read_table_rows

Row = dict[str, Any]
CUT = ("matched", "whole_image")  # outcomes of an item that has a crop
HEAVY = ("bytes", "fingerprint")  # columns that no lookup holds in memory
OF_CROPS = ("wardrobe", "category")  # kinds of benchmarks whose rows are crops; rows of the others are images or boxes
STAGES = ("ingested", "boxes", "labels", "crops")  # folders with a ledger for each source, in the order of the flow
CORNERS = ("x1", "y1", "x2", "y2")


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table that a stage wrote; none of one that has only a header, or that is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def nearest_ids(wanted: str, known: Collection[str], most: int = 5) -> list[str]:
    """The ids most like ``wanted``: those that hold it, then those that are spelled alike."""
    inside = sorted(entry for entry in known if wanted and wanted.lower() in entry.lower())[:most]
    alike = difflib.get_close_matches(wanted, sorted(known), n=most, cutoff=0.0) if len(known) <= 20_000 else []
    return list(dict.fromkeys([*inside, *alike]))[:most]


def unknown(what: str, wanted: str, known: Collection[str], where: Path) -> StageError:
    """The message for an id that is not there, with the nearest ones."""
    near = ", ".join(nearest_ids(wanted, known)) or "none, the table is empty"
    return StageError(f"{where}: no {what} {wanted!r} among {len(known)}. Nearest: {near}.")


def base(name: str) -> str:
    """The last part of a path or key, without an image's or a text's suffix and without a line number."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = last.rpartition(".")
    return stem if dot and suffix.isalpha() and len(suffix) <= 5 else last


def named_by(key: str) -> set[str]:
    """The ids that the key of a ledger's row (an id, a path, a file with a line or an id behind it) may name."""
    ends = {key, *key.split(":"), *(key.split("/", at)[-1] for at in range(1, key.count("/") + 1))}
    return {name for end in ends for name in (end, base(end)) if name}


class Profile:
    """The tables of data/<profile>, each read when it is first asked for."""

    def __init__(self, data: Path) -> None:
        """Take the folder.

        Raises:
            StageError: when nothing was ingested there.
        """
        self.data = data
        self._tables: dict[Path, list[Row]] = {}
        self._cards: dict[str, Row] = {}
        self._benchmark_rows: dict[Path, tuple[pa.Table, np.ndarray]] = {}
        self._indexes: dict[tuple[str, ...], dict[str, Row]] = {}
        self._groups: dict[tuple[str, ...], dict[str, list[Row]]] = {}
        self._ledgers: dict[tuple[str, str], dict[str, list[Row]]] = {}
        if not (data / "ingested").is_dir():
            raise StageError(f"{data}/ingested: no such folder. It is made by an earlier stage: run `dvc repro`.")

    def rows(self, *place: str, leave_out: Collection[str] = HEAVY) -> list[Row]:
        """Rows of a Parquet file, or of the shards of a folder; none where there is no such file."""
        path = self.data.joinpath(*place)
        if path not in self._tables:
            files = [path] if path.is_file() else sorted(path.glob("shard-*.parquet"))
            tables = []
            for file in files:
                names = [name for name in pq.read_schema(file).names if name not in leave_out]
                tables.append(pq.read_table(file, columns=names))
            self._tables[path] = pa.concat_tables(tables).to_pylist() if tables else []
        return self._tables[path]

    def folders(self, name: str) -> list[str]:
        """Names of the folders in one of the profile's folders."""
        path = self.data / name
        return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []

    @cached_property
    def accounts(self) -> dict[str, dict[str, Any]]:
        """Stage folder -> source -> account.json, as the stage `statistics` read it; if it has not run, as on disk."""
        path = self.data / "report" / "statistics" / "accounts.json"
        if path.is_file():
            return read_json(path)
        return {
            stage: {
                source: read_json(file)
                for source in self.folders(stage)
                if (file := self.data / stage / source / "account.json").is_file()
            }
            for stage in STAGES
        }

    @cached_property
    def sources(self) -> list[str]:
        """Ingested sources."""
        return sorted(self.accounts.get("ingest", self.accounts.get("ingested", {})) or self.folders("ingested"))

    def benchmark_rows(self, benchmark: str, role: str) -> tuple[pa.Table, np.ndarray]:
        """Queries or gallery of a benchmark, and bool [n] which rows have an image; read once for all encoders."""
        path = self.data / "benchmarks" / benchmark / f"{role}.parquet"
        if path not in self._benchmark_rows:
            self._benchmark_rows[path] = read_table_rows(path)
        return self._benchmark_rows[path]

    @cached_property
    def labeled(self) -> list[str]:
        """Sources with labels."""
        return [source for source in self.folders("labels") if (self.data / "crops" / source).is_dir()]

    def by(self, column: str, *place: str) -> dict[str, Row]:
        """Rows of a table by an id."""
        if (column, *place) not in self._indexes:
            self._indexes[column, *place] = {row[column]: row for row in self.rows(*place)}
        return self._indexes[column, *place]

    def images(self, source: str) -> dict[str, Row]:
        """Ingested images of a source by image_id."""
        return self.by("image_id", "ingested", source)

    def labels(self, source: str) -> dict[str, Row]:
        """Labels of a source by item_id."""
        return self.by("item_id", "labels", source, "labels.parquet")

    def outcomes(self, source: str) -> dict[str, Row]:
        """Outcomes of a source's items by item_id."""
        return self.by("item_id", "crops", source, "outcomes.parquet")

    def detections(self, source: str, image_id: str) -> list[Row]:
        """What the detectors found in an image of a labeled source, the surest first."""
        return self.grouped("image_id", "crops", source, "detections.parquet").get(image_id, [])

    def grouped(self, column: str, *place: str) -> dict[str, list[Row]]:
        """Rows of a table by a column that several share."""
        if (column, *place) not in self._groups:
            result: dict[str, list[Row]] = defaultdict(list)
            for row in self.rows(*place):
                result[row[column]].append(row)
            self._groups[column, *place] = dict(result)
        return self._groups[column, *place]

    @cached_property
    def dataset(self) -> dict[tuple[str, str], Row]:
        """(source, item_id) -> the labeled item with its split, outcome and picture."""
        return {(row["source"], row["item_id"]): row for row in self.rows("dataset", "items.parquet")}

    @cached_property
    def crops(self) -> dict[str, Row]:
        """crop_id -> the crop's row in the data set."""
        return self.by("crop_id", "dataset")

    def ledger(self, kind: str, source: str, ids: Collection[str]) -> list[Row]:
        """Rejects or repairs of a source's rows that name one of ``ids``, in the order of the stages."""
        if (kind, source) not in self._ledgers:
            index: dict[str, list[Row]] = defaultdict(list)
            for stage in STAGES:
                for row in self.rows(stage, source, f"{kind}.parquet"):
                    for name in named_by(row["key"]):
                        index[name].append({"stage": stage, **row})
            self._ledgers[kind, source] = dict(index)
        index, result = self._ledgers[kind, source], []
        for entry in dict.fromkeys(ids):
            result += [row for row in index.get(entry, []) if row not in result]
        return result

    def benchmark(self, name: str) -> Row:
        """benchmark.json of a benchmark.

        Raises:
            StageError: when there is none, with the nearest names.
        """
        if name not in self._cards:
            known = self.folders("benchmarks")
            if name not in known:
                raise unknown("benchmark", name, known, self.data / "benchmarks")
            self._cards[name] = read_json(self.data / "benchmarks" / name / "benchmark.json")
        return self._cards[name]

    def source_of(self, benchmark: str, row_id: str) -> tuple[str, str]:
        """Source, and the item or image there, of a row of a benchmark."""
        card = self.benchmark(benchmark)
        if card["kind"] in OF_CROPS:
            source, _, item = row_id.partition(":")
            if item and source in self.labeled:
                return source, item
            return str(card.get("source") or source), row_id
        return card["source"], row_id


def labels_of(row: Row) -> dict[str, str | None]:
    """The value of each head, and the superclass."""
    return {"superclass": row.get("superclass"), **{head: row.get(head) for head in HEADS}}


def item_facts(profile: Profile, source: str, item_id: str) -> Row:
    """Everything the tables hold of a labeled item.

    Returns:
        ``source``, ``item_id``, ``image_id``; ``image``: size, sha256 of the upstream file, upstream's split;
        ``upstream``: upstream's row; ``labels``: after the policies, ``dataset_labels``: in the data set, where they
        differ; ``matching``: outcome, ``taken`` box and ``rivals``; ``mates``: other items of the photo;
        ``split``, ``keys``: what ties it to others; ``near``: ids of the pictures that look the same;
        ``repairs``, ``rejects``.

    Raises:
        StageError: when the source has no such item, with the nearest ids.
    """
    upstream = profile.by("item_id", "ingested", source, "items.parquet").get(item_id)
    label = profile.labels(source).get(item_id)
    if upstream is None and label is None:
        known = {*profile.by("item_id", "ingested", source, "items.parquet"), *profile.labels(source)}
        raise unknown("item", item_id, known, profile.data / "ingested" / source)
    image_id = (label or upstream or {})["image_id"]
    facts: Row = {"source": source, "item_id": item_id, "image_id": image_id}
    facts["image"] = image_facts(profile, source, image_id)
    facts["upstream"] = {
        key: value for key, value in (upstream or {}).items() if key not in ("item_id", "image_id") and value
    }
    facts["labels"] = labels_of(label) | {"agrees": label["agrees"]} if label else None
    crop = profile.crops.get(f"{source}:{item_id}")
    if crop and label and (gone := {head: None for head in HEADS if crop[head] != label[head]}):
        facts["dataset_labels"] = gone
    facts["matching"] = matching(profile, source, label) if label else None
    member = profile.dataset.get((source, item_id))
    if member:
        facts["split"] = member["split"]
        facts["keys"] = {key: member[key] for key in ("group_id", "cluster", "picture")}
        facts["near"] = near(profile, member)
    ids = (item_id, image_id)
    facts["repairs"], facts["rejects"] = (profile.ledger(kind, source, ids) for kind in ("repairs", "rejects"))
    return facts


def picture_facts(profile: Profile, source: str, own: str) -> Row:
    """Everything the tables hold of an image of a source without labels, or of a box or row in one.

    Raises:
        StageError: when the source has no such image, with the nearest ids.
    """
    box = profile.by("object_id", "ingested", source, "objects.parquet").get(own)
    upstream = profile.by("item_id", "ingested", source, "items.parquet").get(own, {})
    image_id = box["image_id"] if box else upstream.get("image_id", own)
    image = image_facts(profile, source, image_id)
    if image is None:
        raise unknown("image", image_id, profile.images(source), profile.data / "ingested" / source)
    alike = profile.grouped("cluster", "ingested", source).get(image["cluster"], [])
    return {
        "source": source,
        "item_id": own,
        "image_id": image_id,
        "image": image,
        "box": box,
        "upstream": {key: value for key, value in upstream.items() if key not in ("item_id", "image_id") and value},
        "near": [row["image_id"] for row in alike if row["image_id"] != image_id],
        **{kind: profile.ledger(kind, source, (own, image_id)) for kind in ("repairs", "rejects")},
    }


def image_facts(profile: Profile, source: str, image_id: str) -> Row | None:
    """Size, hash, group, cluster and upstream's split of an ingested image; None: it was not kept."""
    row = profile.images(source).get(image_id)
    return row and {key: row[key] for key in ("width", "height", "split", "group_id", "cluster", "sha256")}


def matching(profile: Profile, source: str, label: Row) -> Row | None:
    """How an item was matched: the outcome, its box, the competing boxes, and the items of the same photo."""
    outcome = profile.outcomes(source).get(label["item_id"])
    if outcome is None:
        return None
    result = profile.detections(source, label["image_id"])
    box = {name: outcome[name] for name in ("detector", "detected_class", "confidence", *CORNERS)}
    rivals = [
        {**row, "agrees": row["superclass"] in (label["agrees"] or [])}
        for row in result
        if not (row["detector"] == outcome["detector"] and all(row[side] == outcome[side] for side in CORNERS))
    ]
    mates = [
        {"item_id": row["item_id"], "superclass": row["superclass"], **_outcome(profile, source, row["item_id"])}
        for row in profile.grouped("photo", "labels", source, "labels.parquet").get(label["photo"], [])
        if row["item_id"] != label["item_id"]
    ]
    return {
        "outcome": outcome["outcome"],
        "candidates": outcome["candidates"],
        "agreeing": outcome["agreeing"],
        "taken": box if outcome["detector"] else None,
        "rivals": rivals,
        "mates": mates,
    }


def _outcome(profile: Profile, source: str, item_id: str) -> Row:
    row = profile.outcomes(source).get(item_id, {})
    return {"outcome": row.get("outcome"), "detected_class": row.get("detected_class")}


def near(profile: Profile, member: Row) -> list[str]:
    """Labeled items of other images whose pictures look the same, in this source or another."""
    alike = profile.grouped("picture", "dataset", "items.parquet").get(member["picture"], [])
    own = (member["source"], member["image_id"])
    return sorted(f"{row['source']}:{row['item_id']}" for row in alike if (row["source"], row["image_id"]) != own)


def rejected(profile: Profile, reason: str) -> list[Row]:
    """Every row that was rejected for a reason, with the folder of the stage, in the order of the flow."""
    return [
        {"stage": stage, **row}
        for stage in STAGES
        for source in profile.folders(stage)
        for row in profile.rows(stage, source, "rejects.parquet")
        if row["reason"] == reason
    ]


def pick(rows: Iterable[Row], key: Callable[[Row], str], most: int) -> list[Row]:
    """The first ``most`` rows by the hash of their id: a rule that knows nothing of how good they look."""
    return sorted(rows, key=lambda row: digest(key(row)))[:most]


def split_order(name: str) -> int:
    """Place of a split among train, val and test."""
    return SPLITS.index(name)
