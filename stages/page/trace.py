"""Print everything that happened to one row, from its score to its upstream file. Nothing is changed.

    python -m stages.run trace query ROW_ID --encoder classifier --benchmark wardrobe
    python -m stages.run trace crop CROP_ID          source:item_id, or the item_id alone
    python -m stages.run trace file PATH             a file below the raw tree, such as data/demo/raw/shoes/...
    python -m stages.run trace reject REASON         a reject reason (docs/architecture.md)

`make trace ARGS="query ..."` does the same; --json prints it as JSON. For a query, it begins with the ranking and the
scores. Then come the crop, its detection and the competing ones, the decision of matching, the labels before and after
the policies, repairs, the split and its reason, pictures that look the same, and the upstream file and line. Each has
the stage that made it, with the hash of its output in dvc.lock.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from stages.contracts.ledger import REASONS
from stages.contracts.tables import unit_hash
from stages.core.errors import StageError
from stages.core.files import parse_yaml, rounded
from stages.core.params import load_params, lookup, section
from stages.crops.dataset import leakage_units
from stages.crops.params import DatasetParams
from stages.page.lookup import (
    Profile,
    Row,
    item_facts,
    nearest_ids,
    picture_facts,
    rejected,
    unknown,
)
from stages.page.ranks import load_pair, rankings
from stages.page.text import as_text
from stages.page.upstream import files_below, image_file, lines_about
from stages.runner.stage import new_parser, one_message

RESULTS = 8  # of a query
EXAMPLES = 20  # of a reject reason


class Tracer:
    """Traces of one profile."""

    def __init__(self, profile: Profile, raw: Path, params: dict[str, Any], lock: Path = Path("dvc.lock")) -> None:
        """Take the tables, the folder of raw trees, and the params that the tables were made with."""
        self.profile, self.raw, self.params = profile, raw, params
        self.relabel = Path("data/relabel.csv")
        self.made = made_by(lock)

    def query(self, row_id: str, encoder: str, benchmark: str) -> Row:
        """A query of a benchmark, ranked by the vectors of an encoder.

        Raises:
            StageError: when one of the names is not known, with the nearest.
        """
        pair = load_pair(self.profile, encoder, benchmark)
        place = pair.place(row_id)
        if place < 0:
            where = self.profile.data / "benchmarks" / benchmark / "queries.parquet"
            raise unknown("query", row_id, pair.names["queries"]["row_id"], where)
        (ranking,) = rankings(pair, [place], RESULTS)
        ranking["metric"], ranking["gallery"] = pair.metric, len(pair.gallery)
        source, own = self.profile.source_of(benchmark, row_id)
        paths = [f"embeddings/{encoder}", f"benchmarks/{benchmark}"]
        result = {"kind": "query", "id": row_id, "encoder": encoder, "benchmark": benchmark, "ranking": ranking}
        return result | self._about(source, own, paths)

    def crop(self, crop_id: str) -> Row:
        """A crop, or a labeled item that has none.

        Raises:
            StageError: when no label source has such an item, or several have, with the nearest ids.
        """
        items = {
            f"{source}:{entry}": (source, entry)
            for source in self.profile.labeled
            for entry in self.profile.by("item_id", "ingested", source, "items.parquet")
        }
        alone = [own for own in items.values() if own[1] == crop_id]
        if crop_id not in items and len(alone) != 1:
            raise unknown("item", crop_id, items, self.profile.data / "labels")
        source, item = items[crop_id] if crop_id in items else alone[0]
        result: Row = {"kind": "crop", "id": f"{source}:{item}"}
        if crop := self.profile.crops.get(result["id"]):
            result["crop"] = {key: crop[key] for key in ("width", "height", "detector", "detected_class", "confidence")}
        return result | self._about(source, item, ["dataset"])

    def file(self, path: str) -> Row:
        """A file of the raw tree: a picture, or an annotation.

        Raises:
            StageError: when it lies elsewhere, or does not exist; then the nearest names are shown.
        """
        asked = Path(path)
        try:
            below = Path(*asked.absolute().parts).relative_to(self.raw.absolute())
            source = below.parts[0]
        except (ValueError, IndexError):
            raise StageError(f"{path}: not below {self.raw}, where the profile's raw trees are.") from None
        if source not in self.profile.sources:
            raise unknown("source", source, self.profile.sources, self.raw)
        root = self.raw / source
        inside = Path(*below.parts[1:])
        if not (root / inside).is_file():
            names = {entry.relative_to(root).as_posix() for entry in files_below(root)}
            near = ", ".join(nearest_ids(inside.as_posix(), names)) or "none"
            raise StageError(f"{path}: no such file among {len(names)} of {source}. Nearest: {near}.")
        result: Row = {"kind": "file", "id": (root / inside).as_posix(), "source": source}
        stem = inside.with_suffix("").as_posix()
        ids = self.profile.images(source)
        image_id = next((entry for entry in _tails(stem) if entry in ids), None)
        if image_id is None and (marked := [entry for entry in ids if _split_of(entry, stem)]):
            image_id = marked[0]
        if image_id is None:
            kinds = ("rejects", "repairs")
            rows = {kind: self.profile.ledger(kind, source, (inside.name, stem, inside.as_posix())) for kind in kinds}
            rows = {
                kind: rows[kind] or [row for row in self._of_file(kind, source) if _names(row["key"], inside)]
                for kind in kinds
            }
            return result | rows | {"made": self._made([f"ingested/{source}"]), "upstream": self._lines(source, [stem])}
        items = [
            row["item_id"]
            for row in self.profile.rows("ingested", source, "items.parquet")
            if row.get("image_id") == image_id
        ]
        result["uses"] = self._uses(source, image_id, items)
        result["items"] = items
        own = next((entry for entry in items if source in self.profile.labeled), image_id)
        return result | self._about(source, own, [])

    def reject(self, reason: str) -> Row:
        """What was rejected for a reason: counts by stage, source and table, and the first rows.

        Raises:
            StageError: when there is no such reason, with the nearest ones.
        """
        if reason not in REASONS:
            raise unknown("reason", reason, REASONS, Path("stages/contracts/ledger.py"))
        rows = rejected(self.profile, reason)
        counts: dict[str, int] = {}
        for row in rows:
            key = f"{row['stage']} {row['source']} {row['table']}"
            counts[key] = counts.get(key, 0) + 1
        paths = sorted({f"{row['stage']}/{row['source']}" for row in rows})
        return {
            "kind": "reject", "id": reason, "meaning": REASONS[reason], "counts": counts,
            "rows": [{**row, **self._where(row)} for row in rows[:EXAMPLES]], "made": self._made(paths),
        }  # fmt: skip

    def _where(self, row: Row) -> Row:
        """File and line of a rejected row where its key tells, as ``styles.csv:12`` does."""
        name, _, number = row["key"].rpartition(":")
        root = self.raw / row["source"]
        if row["stage"] != "ingested" or not number.isdigit():
            return {}
        return next(
            ({"file": path.as_posix(), "line": int(number)} for path in files_below(root) if path.match(f"*{name}")), {}
        )

    def _of_file(self, kind: str, source: str) -> list[Row]:
        return [{"stage": "ingested", **row} for row in self.profile.rows("ingested", source, f"{kind}.parquet")]

    def _about(self, source: str, own: str, paths: list[str]) -> Row:
        """The item, or the image or box of a source without labels; where it stands upstream; what made it."""
        profile = self.profile
        paths = [*paths, f"ingested/{source}"]
        items = profile.by("item_id", "ingested", source, "items.parquet")
        if source in profile.labeled and (own in items or own in profile.labels(source)):
            facts = item_facts(profile, source, own)
            facts["corrections"] = corrections(self.relabel, source, own)
            if member := profile.dataset.get((source, own)):
                facts["decision"] = self._decision(member)
            paths += [f"labels/{source}", f"crops/{source}", "dataset"]
        else:
            facts = picture_facts(profile, source, own)
        path = image_file(self.raw / source, facts["image_id"]) if (self.raw / source).is_dir() else None
        facts["file"] = path.as_posix() if path else None
        facts["upstream_lines"] = self._lines(source, [own, facts["image_id"]], path)
        return {"facts": facts, "made": self._made(paths)}

    def _decision(self, member: Row) -> Row:
        """Why an item is in its split: the unit that never crosses, and the hash of its name or upstream's split."""
        options = section(DatasetParams, "dataset", self.params)
        rows = list(self.profile.dataset.values())
        if not hasattr(self, "_units"):
            self._units = leakage_units(rows, options.group_namespaces)
        place = next(at for at, row in enumerate(rows) if row is member)
        unit = self._units[place]
        members = [row for row, own in zip(rows, self._units, strict=True) if own == unit]
        upstream = sorted({row["source"] for row in members} & set(options.upstream_splits))
        return {
            "unit": unit,
            "members": len(members),
            "rule": f"upstream's split of {', '.join(upstream)}" if upstream else "hash of the unit's name",
            "position": None if upstream else unit_hash(unit),
            "shares": list(options.shares),
        }

    def _uses(self, source: str, image_id: str, items: list[str]) -> list[str]:
        """Benchmarks that ask with an image, find it or teach it."""
        ids = {image_id, *items, *(f"{source}:{item}" for item in items)}
        boxes = self.profile.grouped("image_id", "ingested", source, "objects.parquet").get(image_id, [])
        ids |= {row["object_id"] for row in boxes}
        return [
            f"{benchmark} {role} ({row['row_id']})"
            for benchmark in self.profile.folders("benchmarks")
            for role in ("queries", "gallery", "train")
            for row in self.profile.rows("benchmarks", benchmark, f"{role}.parquet")
            if row["row_id"] in ids and self.profile.source_of(benchmark, row["row_id"])[0] == source
        ]

    def _lines(self, source: str, names: list[str], picture: Path | None = None) -> list[Row]:
        """Annotation lines about a row; those in the folder of its picture's split, where there are some."""
        root = self.raw / source
        if not root.is_dir():
            return []
        rows = lines_about(root, [*names, *([picture.stem] if picture else [])])
        if picture:
            split = picture.relative_to(root).parts[0]
            rows = [row for row in rows if row["file"].relative_to(root).parts[0] == split] or rows
        return [{**row, "file": row["file"].as_posix()} for row in rows]

    def _made(self, folders: list[str]) -> list[Row]:
        """Stage and hash of the outputs that hold these folders of the profile."""
        rows = []
        for role in folders:
            path = (self.profile.data / role).as_posix()
            out = next((entry for entry in self.made if path == entry or path.startswith(f"{entry}/")), None)
            rows.append({"path": path, **(self.made[out] if out else {"stage": None, "md5": None})})
        return rows


def corrections(path: Path, source: str, item_id: str) -> list[Row]:
    """Lines of data/relabel.csv that correct a label of an item: ``line``, ``column``, ``value``, ``reason``."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        return [
            {"line": reader.line_num, **{name: row[name] for name in ("column", "value", "reason")}}
            for row in reader
            if (row["source"], row["item_id"]) == (source, item_id)
        ]


def made_by(lock: Path) -> dict[str, Row]:
    """Path of each output in dvc.lock -> the stage that made it and its hash; empty without a lock."""
    entries = (parse_yaml(lock.read_text(encoding="utf-8")) or {}).get("stages", {}) if lock.is_file() else {}
    return {
        out["path"]: {"stage": name, "md5": out.get("md5")} for name, entry in entries.items() for out in entry["outs"]
    }


def _tails(path: str) -> list[str]:
    """A path and its tails without the first folders, longest first."""
    folders = path.split("/")
    return ["/".join(folders[start:]) for start in range(len(folders))]


def _split_of(image_id: str, stem: str) -> bool:
    """Whether an id that begins with a split is the file ``stem``: train-000001 of train/image/000001."""
    split, _, rest = image_id.replace("/", "-", 1).partition("-")
    return bool(rest) and stem.startswith(f"{split}/") and stem.endswith(f"/{rest}")


def _names(key: str, path: Path) -> bool:
    """Whether a ledger's key names a file, with a line behind it or without."""
    return path.name in key or path.with_suffix("").as_posix() in key


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("kind", choices=("query", "crop", "file", "reject"), help="what to follow")
    parser.add_argument("id", help="row id, crop id, path or reason")
    parser.add_argument("--encoder", help="for a query: the encoder that ranks the gallery")
    parser.add_argument("--benchmark", help="for a query: its benchmark")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    with one_message():
        content = load_params()
        profile = Profile(Path("data") / str(lookup(content, "profile")))
        tracer = Tracer(profile, Path(str(lookup(content, "raw"))), content)
        if args.kind == "query":
            if not (args.encoder and args.benchmark):
                encoders, benchmarks = (", ".join(profile.folders(name)) for name in ("embeddings", "benchmarks"))
                raise StageError(
                    f"trace query: --encoder and --benchmark are needed. Encoders: {encoders}. "
                    f"Benchmarks: {benchmarks}."
                )
            result = tracer.query(args.id, args.encoder, args.benchmark)
        else:
            result = getattr(tracer, args.kind)(args.id)
        print(json.dumps(rounded(result), indent=1, ensure_ascii=False) if args.json else as_text(result))
    sys.stdout.flush()
