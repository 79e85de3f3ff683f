"""Held-out pictures that are also training pictures of some model, over all sources and benchmarks.

Two passes. The first one finds near duplicates: the same photo. The second one finds garments that a training row may
show again in another photo, which are suspects for a person to look at (same_item.py). Neither removes a row.

Near duplicates are in one split within the data set, over all sources whose labels it merges, and within a source where
ingest drops duplicates. But benchmarks of upstream trees have upstream's splits, which may separate near duplicates and
ignore other data sets: a query of one may be a training picture of another, so that an encoder trained on the latter
has seen it. This stage counts such pictures. A score on a set with a high count means little. Queries that repeat
training pictures of the benchmark's own tree are left out of its clean scores (evaluate_retrieval).

Reads:  data/<profile>/ingested/<source>/, data/<profile>/dataset/, data/<profile>/benchmarks/<name>/.
Writes: METRICS: held-out pictures of all sets (``held_out``), how many of them are in a training set (``seen``; counted
        once for each training set), held-out rows of the second pass (``rows``), and how many of them are suspects
        (``same_item``).
        OUT/leakage.json: held-out set -> its pictures, how many of them are in each training set, and a few examples;
        its rows, how many of them are suspects, and of each training set.
        OUT/pairs.csv: the suspects, the most similar first, then the near duplicates.
        OUT/same_item.jpg: the first suspects, each held-out row beside its training row; only if there are suspects.
Params: benchmarks, detectors (the lists), dataset (what near duplicates are), leakage; runtime.

Sets, each with training pictures (train and val) and held-out pictures:
    dataset             the crops of the merged data set; test is held out
    detector <name>     the images of its source; test is held out. The second pass leaves detectors out, since they
                        learn where garments are and not which
    <name>              the training table of a benchmark over an upstream tree; its queries are held out
"""

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from stages.benchmarks.params import UPSTREAM
from stages.contracts.tables import iter_shards, read_table, shard_paths
from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.params import Names
from stages.ingest.fingerprint import alike, near_duplicates
from stages.leakage.rows import Picture, RowTable, Vectors, embed_rows
from stages.leakage.same_item import LeakageParams, Suspect, features, find
from stages.leakage.sheet import pair_sheet
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

DATASET = "dataset"
ROW = ["row_id", "split"]
EXAMPLES = 3  # named pairs for each two sets
COLUMNS = ["reason", "cosine", "held_out_set", "held_out", "training_set", "training"]


@dataclass
class PictureSet:
    """Pictures for training and held-out pictures, and the tables of their garments; a detector has no tables."""

    training: set[Picture] = field(default_factory=set)
    held_out: set[Picture] = field(default_factory=set)
    tables: list[RowTable] = field(default_factory=list)

    def add(self, picture: Picture, split: str) -> None:
        """Add a picture to training or held out, by its split."""
        if split == "test":
            self.held_out.add(picture)
        elif split in ("train", "val"):
            self.training.add(picture)


def repeated_pictures(
    sets: Mapping[str, PictureSet], fingerprints: Mapping[Picture, bytes], hamming: int, color: float
) -> dict[str, dict[str, list[tuple[Picture, Picture]]]]:
    """Held-out set -> training set -> (held-out picture, the first training picture that looks like it).

    Args:
        fingerprints: of every picture in ``sets``.
        hamming, color: as in ``stages.ingest.fingerprint.near_duplicates``.
    """
    wanted = (
        sorted(set().union(*(picture_set.training | picture_set.held_out for picture_set in sets.values())))
        if sets
        else []
    )
    clusters = dict(
        zip(wanted, near_duplicates([fingerprints[picture] for picture in wanted], hamming, color), strict=True)
    )
    members: dict[str, dict[int, list[Picture]]] = {name: defaultdict(list) for name in sets}
    for name, picture_set in sets.items():
        for picture in sorted(picture_set.training):
            members[name][clusters[picture]].append(picture)

    def pairs(pictures: Iterable[Picture], teachers: Mapping[int, list[Picture]]) -> list[tuple[Picture, Picture]]:
        # A cluster may be a chain, so each pair is checked.
        result = []
        for picture in sorted(pictures):
            near = (
                twin
                for twin in teachers.get(clusters[picture], [])
                if alike(fingerprints[picture], fingerprints[twin], hamming, color)
            )
            result += [(picture, twin) for twin in [next(near, None)] if twin is not None]
        return result

    return {
        name: {teacher: pairs(picture_set.held_out, known) for teacher, known in members.items()}
        for name, picture_set in sets.items()
        if picture_set.held_out
    }


class Pictures:
    """Reads the sets of a profile and the fingerprints of their pictures."""

    def __init__(self, data: Path) -> None:
        """Read from ``data``, the profile's folder."""
        self.data = data
        self.sets: dict[str, PictureSet] = {}
        self.fingerprints: dict[Picture, bytes] = {}
        self.splits: dict[str, dict[str, str]] = {}

    def add_dataset(self) -> None:
        """The crops of the data set."""
        own = self.sets[DATASET] = PictureSet()
        for path in shard_paths(self.data / "dataset"):
            pictures = {}
            for row in read_table(path, columns=["crop_id", "source", "image_id", "split", "fingerprint"]).to_pylist():
                picture = pictures[row["crop_id"]] = row["source"], row["image_id"]
                own.add(picture, row["split"])
                self.fingerprints[picture] = row["fingerprint"]
            own.tables.append(RowTable(path, "crop_id", pictures))

    def add_detector(self, name: str) -> None:
        """The training and test images of a detector."""
        own = self.sets[f"detector {name}"] = PictureSet()
        for image_id, split in self._source(name).items():
            own.add((name, image_id), split)

    def add_benchmark(self, name: str, kind: str, source: str) -> None:
        """The training table and the queries of a benchmark over an upstream tree."""
        own, images = PictureSet(), self._source(source)
        of_row = dict(zip(images, images, strict=True))
        if kind == "pairs":  # rows are garments
            objects = read_table(self.data / "ingested" / source / "objects.parquet", columns=["object_id", "image_id"])
            of_row = dict(zip(objects["object_id"].to_pylist(), objects["image_id"].to_pylist(), strict=True))
        folder = self.data / "benchmarks" / name
        rows = [(row["row_id"], row["split"]) for row in read_table(folder / "train.parquet", columns=ROW).to_pylist()]
        rows += [(row["row_id"], "test") for row in read_table(folder / "queries.parquet", columns=ROW[:1]).to_pylist()]
        if strangers := [row_id for row_id, _ in rows if row_id not in of_row]:
            raise StageError(
                f"{folder}: {len(strangers)} rows are not in {self.data / 'ingested' / source}: {shown(strangers)}. "
                f"The benchmark was built from another state of the source. Run `dvc repro benchmark@{name}`."
            )
        for row_id, split in rows:
            own.add((source, of_row[row_id]), split)
        pictures = {row_id: (source, of_row[row_id]) for row_id, _ in rows}
        own.tables = [
            RowTable(folder / "train.parquet", "row_id", pictures),
            RowTable(folder / "queries.parquet", "row_id", pictures, "test"),
        ]
        self.sets[name] = own

    def _source(self, name: str) -> dict[str, str]:
        """image_id -> split of an ingested source."""
        if name not in self.splits:
            self.splits[name] = {}
            for shard in iter_shards(self.data / "ingested" / name, ["image_id", "split", "fingerprint"]):
                for row in shard.to_pylist():
                    self.splits[name][row["image_id"]] = row["split"]
                    self.fingerprints[name, row["image_id"]] = row["fingerprint"]
        return self.splits[name]


def read_pictures(data: Path, detectors: Sequence[str], benchmarks: Sequence[str]) -> Pictures:
    """All training and held-out pictures of a profile."""
    pictures = Pictures(data)
    pictures.add_dataset()
    for name in sorted(detectors):
        pictures.add_detector(name)
    for name in sorted(benchmarks):
        about = read_json(data / "benchmarks" / name / "benchmark.json")
        if about["kind"] in UPSTREAM and about.get("source"):
            pictures.add_benchmark(name, about["kind"], about["source"])
    return pictures


Pairs = Mapping[str, Mapping[str, Sequence[tuple[Picture, Picture]]]]


def same_items(
    sets: Mapping[str, PictureSet], repeats: Pairs, params: LeakageParams, folder: Path
) -> tuple[dict[str, int], list[Suspect]]:
    """The second pass: the number of held-out rows of each set, and the suspects.

    Args:
        repeats: what ``repeated_pictures`` found; these pictures are no suspects.
        folder: for the vectors, until they are compared.
    """
    with TemporaryDirectory(dir=folder) as scratch:
        vectors = Vectors(Path(scratch), features(params))
        sides = {name: embed_rows(own.tables, vectors) for name, own in sets.items() if own.tables}
        known = {
            name: {teacher: {picture for picture, _ in pairs} for teacher, pairs in teachers.items()}
            for name, teachers in repeats.items()
        }
        suspects = find(sides, known, vectors.read(), params.cosine)
    return {name: len(own.held_out.names) for name, own in sides.items()}, suspects


def counts_of(
    pictures: Mapping[str, PictureSet], repeats: Pairs, rows: Mapping[str, int], suspects: Sequence[Suspect]
) -> dict[str, Any]:
    """Held-out set -> the counts of both passes, and examples of the first."""
    result: dict[str, Any] = {}
    for name, teachers in repeats.items():
        result[name] = {
            "pictures": len(pictures[name].held_out),
            "seen_in_training_of": {teacher: len(pairs) for teacher, pairs in teachers.items()},
            "examples": {
                teacher: [["/".join(picture) for picture in pair] for pair in pairs[:EXAMPLES]]
                for teacher, pairs in teachers.items()
                if pairs
            },
        }
        if name in rows:
            own = [suspect for suspect in suspects if suspect.held_out_set == name]
            suspected = Counter(suspect.training_set for suspect in own)
            result[name]["rows"] = rows[name]
            result[name]["same_item"] = len({suspect.held_out for suspect in own})
            result[name]["same_item_in_training_of"] = {teacher: suspected[teacher] for teacher in rows}
    return result


def table_of(repeats: Pairs, suspects: Sequence[Suspect]) -> list[list[Any]]:
    """Lines of pairs.csv: the suspects, then the near duplicates, which have no cosine."""
    lines = [
        ["same_item", suspect.cosine, suspect.held_out_set, suspect.held_out, suspect.training_set, suspect.training]
        for suspect in suspects
    ]
    for name, teachers in repeats.items():
        for teacher, pairs in teachers.items():
            lines += [["near_duplicate", "", name, "/".join(own), teacher, "/".join(twin)] for own, twin in pairs]
    return lines


def log_repeats(counts: Mapping[str, Any], repeats: Pairs) -> None:
    """Say what the first pass found, with an example of each two sets."""
    for name, teachers in repeats.items():
        for teacher, pairs in teachers.items():
            if pairs:
                own, twin = ("/".join(picture) for picture in pairs[0])
                log.info(
                    f"leakage: {len(pairs)} of {counts[name]['pictures']} held-out pictures of {name} look like "
                    f"training pictures of {teacher}, such as {own} like {twin}"
                )


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, compare, write."""
    seed_everything(0)
    pictures = read_pictures(args.data, params.detectors, params.benchmarks)
    log.info(f"leakage: comparing {len(pictures.fingerprints)} pictures")
    repeats = repeated_pictures(pictures.sets, pictures.fingerprints, params.near_hamming, params.near_color)
    out = fresh_folder(args.out)
    rows, suspects = same_items(pictures.sets, repeats, params.leakage, out)
    counts = counts_of(pictures.sets, repeats, rows, suspects)
    log_repeats(counts, repeats)
    metrics = {
        "held_out": sum(own["pictures"] for own in counts.values()),
        "seen": sum(len(pairs) for teachers in repeats.values() for pairs in teachers.values()),
        "rows": sum(rows.values()),
        "same_item": sum(own.get("same_item", 0) for own in counts.values()),
    }
    log.info(
        f"leakage: {metrics['held_out']} held-out pictures of {len(counts)} sets compared with the training pictures "
        f"of all sets; {metrics['same_item']} of {metrics['rows']} held-out rows may show an item of a training row"
    )
    write_json(out / "leakage.json", counts)
    write_csv(out / "pairs.csv", COLUMNS, table_of(repeats, suspects))
    sheets = [out / "same_item.jpg"] if suspects else []
    if suspects:
        pair_sheet(pictures.sets, suspects).save(sheets[0])
    write_json(args.metrics, metrics)
    return Report(metrics=metrics, pictures=sheets)


STAGE = Stage(
    main,
    ["data", "metrics", "out"],
    {
        "near_hamming": ("dataset.near_hamming", int),
        "near_color": ("dataset.near_color", float),
        "detectors": ("detectors", Names),
        "benchmarks": ("benchmarks", Names),
        "leakage": ("leakage", LeakageParams),
    },
)
