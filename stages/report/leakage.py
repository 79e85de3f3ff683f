"""Which held-out pictures are also among what something learns from, over all sources.

Ingest keeps near duplicates of one source in one split, and the data set does so over the sources whose labels it
merges. Benchmarks of upstream trees bring splits of their own, which know nothing of other data sets: a query of one
may be a training picture of another, and an encoder that learned from the latter has seen it. This stage counts such
pictures; a score beside a high count says little.

Reads:  data/<profile>/ingested/<source>/, data/<profile>/dataset/items.parquet.
Writes: one JSON: held-out set -> pictures, how many of them each training set has too, and a few of them by name.
Params: benchmarks, benchmark, detectors, dataset.

Sets: `dataset` (its rows by their split in the merged data set), and by its own split every ingested source that a
detector learns from or that a benchmark brings along. Training means train and val; held out is test.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.core.files import write_json
from stages.core.fingerprint import near_duplicates
from stages.core.params import load_params, lookup
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import read_shards, read_table
from stages.crops.params import DatasetParams
from stages.retrieval.benchmark_params import UPSTREAM

DATASET = "dataset"
EXAMPLES = 3  # pairs that are named of each two sets
Picture = tuple[str, str]  # source, image_id


@dataclass
class PictureSet:
    """Pictures of one origin that teach, and those that are held out."""

    training: set[Picture] = field(default_factory=set)
    held_out: set[Picture] = field(default_factory=set)

    def add(self, picture: Picture, split: str) -> None:
        """Put a picture where its split says; pictures of other splits than train, val and test are of no use here."""
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
        hamming, color: as in ``stages.core.fingerprint.near_duplicates``, whose clusters decide.
    """
    wanted = sorted(set().union(*(one.training | one.held_out for one in sets.values()))) if sets else []
    clusters = dict(zip(wanted, near_duplicates([fingerprints[one] for one in wanted], hamming, color), strict=True))
    first: dict[str, dict[int, Picture]] = {}
    for name, one in sets.items():
        first[name] = {clusters[picture]: picture for picture in sorted(one.training, reverse=True)}
    return {
        name: {
            teacher: [
                (picture, known[clusters[picture]]) for picture in sorted(one.held_out) if clusters[picture] in known
            ]
            for teacher, known in first.items()
        }
        for name, one in sets.items()
        if one.held_out
    }


def sources_of(content: dict[str, Any]) -> list[str]:
    """Ingested sources that a detector learns from or that a benchmark brings, in params of the whole pipeline."""
    sections = [lookup(content, f"benchmark.{name}") for name in lookup(content, "benchmarks")]
    return sorted({*lookup(content, "detectors"), *(one["source"] for one in sections if one["kind"] in UPSTREAM)})


def read_sets(data: Path, sources: list[str]) -> tuple[dict[str, PictureSet], dict[Picture, bytes]]:
    """The sets of ``data``, and the fingerprints of their pictures."""
    sets = {name: PictureSet() for name in [DATASET, *sources]}
    fingerprints: dict[Picture, bytes] = {}
    items = read_table(data / "dataset" / "items.parquet", columns=["source", "image_id", "split", "fingerprint"])
    for row in items.to_pylist():
        picture = row["source"], row["image_id"]
        sets[DATASET].add(picture, row["split"])
        fingerprints[picture] = row["fingerprint"]
    for source in sources:
        images = read_shards(data / "ingested" / source, ["image_id", "split", "fingerprint"])
        for row in images.to_pylist():
            sets[source].add((source, row["image_id"]), row["split"])
            fingerprints[source, row["image_id"]] = row["fingerprint"]
    return sets, fingerprints


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, compare, write."""
    options: DatasetParams = params.dataset
    sets, fingerprints = read_sets(args.data, sources_of(load_params()))
    found = seen_pictures(sets, fingerprints, options.near_hamming, options.near_color)
    result: dict[str, Any] = {}
    for name, teachers in found.items():
        pictures = len(sets[name].held_out)
        result[name] = {
            "pictures": pictures,
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
                say(
                    f"leakage: {len(pairs)} of {pictures} held-out pictures of {name} look like training pictures of "
                    f"{teacher}, such as {one} like {other}"
                )
    seen = sum(len(pairs) for teachers in found.values() for pairs in teachers.values())
    held = sum(len(sets[name].held_out) for name in found)
    say(f"leakage: {held} held-out pictures of {len(found)} sets compared with the training pictures of {len(sets)}")
    write_json(args.out, result)
    return Report(metrics={"seen": seen, "held_out": held})


if __name__ == "__main__":
    run_stage(main, ["data", "out"], {"dataset": ("dataset", DatasetParams)})
