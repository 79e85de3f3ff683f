"""Held-out pictures that something learns from all the same, planted and found."""

from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.crops.params import DatasetParams
from stages.leakage import leakage
from stages.leakage.leakage import PictureSet, seen_pictures

OPTIONS = {
    "shares": [0.7, 0.15, 0.15],
    "upstream_splits": [],
    "group_namespaces": {},
    "near_hamming": 12,
    "near_color": 4,
    "shards": 1,
}


def fingerprint(number, nearly=0):
    """Random, so far from all others; ``nearly`` changes as many bits of the hash."""
    values = np.random.default_rng(number).integers(0, 256, 224, dtype=np.uint8)
    bits = np.unpackbits(values[:32])
    bits[:nearly] ^= 1
    values[:32] = np.packbits(bits)
    return values.tobytes()


def sets_of(**parts):
    """``parts``: set -> {split: {picture: fingerprint}}."""
    sets = {name: PictureSet() for name in parts}
    prints = {}
    for name, splits in parts.items():
        for split, pictures in splits.items():
            for picture, one in pictures.items():
                sets[name].add((name, picture), split)
                prints[name, picture] = one
    return sets, prints


def test_the_same_and_nearly_the_same_picture_are_found_and_others_are_not():
    sets, prints = sets_of(
        dataset={"train": {"a": fingerprint(1), "b": fingerprint(2)}, "val": {"c": fingerprint(3)}, "test": {"d": fingerprint(4)}},
        shop={"train": {"e": fingerprint(5)}, "test": {"f": fingerprint(1), "g": fingerprint(3, 5), "h": fingerprint(2, 60)}},
    )  # fmt: skip
    assert seen_pictures(sets, prints, 12, 4) == {
        "dataset": {"dataset": [], "shop": []},
        "shop": {"dataset": [(("shop", "f"), ("dataset", "a")), (("shop", "g"), ("dataset", "c"))], "shop": []},
    }


def test_a_set_without_held_out_pictures_is_no_row_but_teaches():
    sets, prints = sets_of(
        a={"train": {"x": fingerprint(1)}, "none": {"y": fingerprint(2)}}, b={"test": {"z": fingerprint(1)}}
    )
    found = seen_pictures(sets, prints, 0, 0)
    assert found == {"b": {"a": [(("b", "z"), ("a", "x"))], "b": []}}
    assert seen_pictures({}, {}, 0, 0) == {}


def test_a_chain_of_near_duplicates_makes_its_ends_no_pair():
    """a and c differ by 16 bits, each by 8 from b: one cluster, but who learns from a has not seen c."""
    sets, prints = sets_of(
        one={"train": {"a": fingerprint(1)}, "none": {}}, two={"val": {"b": fingerprint(1, 8)}, "test": {"c": fingerprint(1, 16)}}
    )  # fmt: skip
    assert seen_pictures(sets, prints, 12, 4) == {"two": {"one": [], "two": [(("two", "c"), ("two", "b"))]}}


def table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A shop and street photos of garments, each a benchmark; a detector of hats. Two pictures are where they should not be.

    The shop's query q2 is nearly a picture of the data set; the stratified benchmark asks with t, which the shop's own
    one teaches; of two garments in the photo p1 one is a query, and the photo is a training picture of the detector.
    """
    monkeypatch.chdir(tmp_path)
    benchmarks = {
        "shop": {"kind": "inshop", "source": "shop"}, "anew": {"kind": "image_category", "source": "shop"},
        "street": {"kind": "pairs", "source": "street"}, "worn": {"kind": "wardrobe", "source": "mm"},
    }  # fmt: skip
    data = tmp_path / "data"
    for name, about in benchmarks.items():
        write_json(data / "benchmarks" / name / "benchmark.json", about)
    for source, images in {
        "shop": {"q1": ("test", 1), "q2": ("test", 2), "t": ("train", 3)},
        "street": {"p1": ("test", 4), "p2": ("train", 5)},
        "hats": {"h1": ("train", 4), "h2": ("test", 6), "h3": ("none", 1)},
    }.items():
        splits, numbers = zip(*images.values(), strict=True)
        prints = [fingerprint(number) for number in numbers]
        table(
            data / "ingested" / source / "shard-0000.parquet", image_id=list(images), split=splits, fingerprint=prints
        )
    table(data / "ingested/street/objects.parquet", object_id=["p1:0", "p1:1", "p2:0"], image_id=["p1", "p1", "p2"])
    for name, queries, train in (
        ("shop", ["q1", "q2"], ["t"]), ("anew", ["t"], ["q1"]), ("street", ["p1:1"], ["p2:0"]),
    ):  # fmt: skip
        table(data / "benchmarks" / name / "queries.parquet", row_id=queries)
        table(data / "benchmarks" / name / "train.parquet", row_id=train, split=["train"] * len(train))
    prints = [fingerprint(2, 3), fingerprint(9)]
    table(
        data / "dataset/shard-0000.parquet",
        source=["mm", "mm"],
        image_id=["m1", "m2"],
        split=["train", "test"],
        fingerprint=prints,
    )
    lists = {"detectors": ["hats"], "benchmarks": list(benchmarks)}
    params = SimpleNamespace(dataset=DatasetParams.model_validate(OPTIONS), **lists)
    places = {name: tmp_path / name for name in ("metrics.json", "report.json")}
    args = Namespace(data=data, metrics=places["metrics.json"], report=places["report.json"])
    return tmp_path, lambda: leakage.main(args, params)


def test_stage_counts_names_and_says_what_was_seen(project, capsys):
    folder, run = project
    report = run()
    none = dict.fromkeys(["dataset", "detector hats", "anew", "shop", "street"], 0)
    found = read_json(folder / "report.json")
    assert found == {
        "dataset": {"pictures": 1, "seen_in_training_of": none, "examples": {}},
        "detector hats": {"pictures": 1, "seen_in_training_of": none, "examples": {}},
        "anew": {
            "pictures": 1,
            "seen_in_training_of": none | {"shop": 1},
            "examples": {"shop": [["shop/t", "shop/t"]]},
        },
        "shop": {
            "pictures": 2,
            "seen_in_training_of": none | {"dataset": 1, "anew": 1},
            "examples": {"dataset": [["shop/q2", "mm/m1"]], "anew": [["shop/q1", "shop/q1"]]},
        },
        "street": {
            "pictures": 1,
            "seen_in_training_of": none | {"detector hats": 1},
            "examples": {"detector hats": [["street/p1", "hats/h1"]]},
        },
    }
    assert report.metrics == read_json(folder / "metrics.json") == {"seen": 4, "held_out": 6}
    said = capsys.readouterr().err
    assert "1 of 2 held-out pictures of shop look like training pictures of dataset, such as shop/q2 like mm/m1" in said


def test_benchmark_of_another_state_of_its_source_is_one_message(project):
    folder, run = project
    table(folder / "data/benchmarks/shop/queries.parquet", row_id=["q1", "gone"])
    with pytest.raises(
        StageError, match=r"benchmarks/shop: 1 rows are not in .*ingested/shop: gone\. .*benchmark@shop"
    ):
        run()
