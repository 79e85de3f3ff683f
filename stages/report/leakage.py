"""Held-out pictures that are also training pictures of some model, over all sources and benchmarks.

Near duplicates are in one split within the data set, over all sources whose labels it merges, and within a source where
ingest drops duplicates. But benchmarks of upstream trees have upstream's splits, which may separate near duplicates and
ignore other data sets: a query of one may be a training picture of another, so that an encoder trained on the latter
has seen it. This stage counts such pictures. A score on a set with a high count means little. Queries that repeat
training pictures of the benchmark's own tree are left out of its clean scores (evaluate_retrieval).

Reads:  data/<profile>/ingested/<source>/, data/<profile>/dataset/, data/<profile>/benchmarks/<name>/.
Writes: METRICS: held-out pictures of all sets, and how many of them are in a training set (``seen``; counted once for
each
        training set).
        REPORT: held-out set -> its pictures, how many of them are in each training set, and a few examples.
Params: benchmarks, detectors (the lists), dataset.

Sets, each with training pictures (train and val) and held-out pictures:
    dataset             the crops of the merged data set; test is held out
    detector <name>     the images of its source; test is held out
    <name>              the training table of a benchmark over an upstream tree; its queries are held out
"""

import argparse
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.benchmarks.params import UPSTREAM
from stages.contracts.tables import iter_shards, read_table
from stages.core.errors import StageError, shown
from stages.core.files import read_json, write_json
from stages.core.params import Names
from stages.crops.params import DatasetParams
from stages.ingest.fingerprint import alike, near_duplicates
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

DATASET = "dataset"
ROW = ["row_id", "split"]
EXAMPLES = 3  # named pairs for each two sets
Picture = tuple[str, str]  # source, image_id


@dataclass
class PictureSet:
    """Pictures for training and held-out pictures."""

    training: set[Picture] = field(default_factory=set)
    held_out: set[Picture] = field(default_factory=set)

    def add(self, picture: Picture, split: str) -> None:
        """Add a picture to training or held out, by its split."""
        if split == "test":
            self.held_out.add(picture)
        elif split in ("train", "val"):
            self.training.add(picture)


def seen_pictures(
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
        seen = []
        for picture in sorted(pictures):
            near = (
                twin
                for twin in teachers.get(clusters[picture], [])
                if alike(fingerprints[picture], fingerprints[twin], hamming, color)
            )
            seen += [(picture, twin) for twin in [next(near, None)] if twin is not None]
        return seen

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
        for shard in iter_shards(self.data / "dataset", ["source", "image_id", "split", "fingerprint"]):
            for row in shard.to_pylist():
                own.add((row["source"], row["image_id"]), row["split"])
                self.fingerprints[row["source"], row["image_id"]] = row["fingerprint"]

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


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, compare, write."""
    options: DatasetParams = params.dataset
    pictures = read_pictures(args.data, params.detectors, params.benchmarks)
    log.info(f"leakage: comparing {len(pictures.fingerprints)} pictures")
    by_set = seen_pictures(pictures.sets, pictures.fingerprints, options.near_hamming, options.near_color)
    result: dict[str, Any] = {}
    for name, teachers in by_set.items():
        held_out = len(pictures.sets[name].held_out)
        result[name] = {
            "pictures": held_out,
            "seen_in_training_of": {teacher: len(pairs) for teacher, pairs in teachers.items()},
            "examples": {
                teacher: [["/".join(picture) for picture in pair] for pair in pairs[:EXAMPLES]]
                for teacher, pairs in teachers.items()
                if pairs
            },
        }
        for teacher, pairs in teachers.items():
            if pairs:
                seen, twin = ("/".join(picture) for picture in pairs[0])
                log.info(
                    f"leakage: {len(pairs)} of {held_out} held-out pictures of {name} look like training pictures of "
                    f"{teacher}, such as {seen} like {twin}"
                )
    n_seen = sum(len(pairs) for teachers in by_set.values() for pairs in teachers.values())
    n_held_out = sum(counts["pictures"] for counts in result.values())
    log.info(
        f"leakage: {n_held_out} held-out pictures of {len(result)} sets compared with the training pictures of all sets"
    )
    write_json(args.report, result)
    metrics = {"seen": n_seen, "held_out": n_held_out}
    write_json(args.metrics, metrics)
    return Report(metrics=metrics)


STAGE = Stage(
    main,
    ["data", "metrics", "report"],
    {
        "dataset": ("dataset", DatasetParams),
        "detectors": ("detectors", Names),
        "benchmarks": ("benchmarks", Names),
    },
)
