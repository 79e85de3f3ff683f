"""Which held-out pictures are also among what something learns from, over all sources and benchmarks.

The data set keeps near duplicates in one split, over the sources whose labels it merges, and so does ingest where it
does not keep duplicates. Benchmarks of upstream trees bring splits of their own. These may cut through near duplicates,
which stay as published, and know nothing of other data sets: a query of one may be a training picture of another, and
an encoder that learned from the latter has seen it. This stage counts such pictures; a score beside a high count says
little. Those of a benchmark's own tree are left out of its clean figures (evaluate_retrieval).

Reads:  data/<profile>/ingested/<source>/, data/<profile>/dataset/, data/<profile>/benchmarks/<name>/.
Writes: METRICS: held-out pictures of all sets, and how many of them some training set has too (``seen``; one that
        several have counts several times).
        REPORT: held-out set -> pictures, how many of them each training set has too, and a few of them by name.
Params: benchmarks, detectors (the lists), dataset.

Sets, each with pictures that teach (train and val) and held-out ones:
    dataset             the crops of the merged data set; test is held out
    detector <name>     the images of its source; test is held out
    <name>              of a benchmark over an upstream tree its own training table; its queries are held out
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
EXAMPLES = 3  # pairs that are named of each two sets
Picture = tuple[str, str]  # source, image_id


@dataclass
class PictureSet:
    """Pictures that something learns from, and those that it is judged by."""

    training: set[Picture] = field(default_factory=set)
    held_out: set[Picture] = field(default_factory=set)

    def add(self, picture: Picture, split: str) -> None:
        """Put a picture where its split says."""
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
    wanted = sorted(set().union(*(one.training | one.held_out for one in sets.values()))) if sets else []
    clusters = dict(zip(wanted, near_duplicates([fingerprints[one] for one in wanted], hamming, color), strict=True))
    members: dict[str, dict[int, list[Picture]]] = {name: defaultdict(list) for name in sets}
    for name, one in sets.items():
        for picture in sorted(one.training):
            members[name][clusters[picture]].append(picture)

    def pairs(pictures: Iterable[Picture], teachers: Mapping[int, list[Picture]]) -> list[tuple[Picture, Picture]]:
        # A cluster may be a chain: only what looks alike itself counts.
        found = []
        for picture in sorted(pictures):
            near = (
                other
                for other in teachers.get(clusters[picture], [])
                if alike(fingerprints[picture], fingerprints[other], hamming, color)
            )
            found += [(picture, other) for other in [next(near, None)] if other is not None]
        return found

    return {
        name: {teacher: pairs(one.held_out, known) for teacher, known in members.items()}
        for name, one in sets.items()
        if one.held_out
    }


class Pictures:
    """The sets of a profile as they are read, and the fingerprints of their pictures."""

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
        """The images that a detector learns from and is judged by."""
        own = self.sets[f"detector {name}"] = PictureSet()
        for image_id, split in self._source(name).items():
            own.add((name, image_id), split)

    def add_benchmark(self, name: str, kind: str, source: str) -> None:
        """The training table and the queries of a benchmark over an upstream tree."""
        own, images = PictureSet(), self._source(source)
        of_row = dict(zip(images, images, strict=True))
        if kind == "pairs":  # its rows are garments
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
    """Everything that a profile learns from or judges by."""
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
    found = seen_pictures(pictures.sets, pictures.fingerprints, options.near_hamming, options.near_color)
    result: dict[str, Any] = {}
    for name, teachers in found.items():
        held_out = len(pictures.sets[name].held_out)
        result[name] = {
            "pictures": held_out,
            "seen_in_training_of": {teacher: len(pairs) for teacher, pairs in teachers.items()},
            "examples": {
                teacher: [["/".join(one) for one in pair] for pair in pairs[:EXAMPLES]]
                for teacher, pairs in teachers.items()
                if pairs
            },
        }
        for teacher, pairs in teachers.items():
            if pairs:
                one, other = ("/".join(picture) for picture in pairs[0])
                log.info(
                    f"leakage: {len(pairs)} of {held_out} held-out pictures of {name} look like training pictures of "
                    f"{teacher}, such as {one} like {other}"
                )
    seen = sum(len(pairs) for teachers in found.values() for pairs in teachers.values())
    held = sum(one["pictures"] for one in result.values())
    log.info(f"leakage: {held} held-out pictures of {len(result)} sets compared with the training pictures of all sets")
    write_json(args.report, result)
    write_json(args.metrics, {"seen": seen, "held_out": held})
    return Report(metrics={"seen": seen, "held_out": held})


STAGE = Stage(
    main,
    ["data", "metrics", "report"],
    {
        "dataset": ("dataset", DatasetParams),
        "detectors": ("detectors", Names),
        "benchmarks": ("benchmarks", Names),
    },
)
