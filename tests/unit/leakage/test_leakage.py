"""Held-out pictures that something learns from all the same, planted and found."""

import csv
import io
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.contracts.images import pixels
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.leakage import leakage
from stages.leakage.leakage import PictureSet, repeated_pictures
from stages.leakage.same_item import LeakageParams


def picture(color):
    """A picture of one color; its vector is the color (``by_color``)."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(stream, "PNG")
    return stream.getvalue()


def by_color(params):
    return lambda data: np.array([pixels(one).mean(axis=(0, 1)) for one in data], np.float32)


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
    assert repeated_pictures(sets, prints, 12, 4) == {
        "dataset": {"dataset": [], "shop": []},
        "shop": {"dataset": [(("shop", "f"), ("dataset", "a")), (("shop", "g"), ("dataset", "c"))], "shop": []},
    }


def test_a_set_without_held_out_pictures_is_no_row_but_teaches():
    sets, prints = sets_of(
        a={"train": {"x": fingerprint(1)}, "none": {"y": fingerprint(2)}}, b={"test": {"z": fingerprint(1)}}
    )
    found = repeated_pictures(sets, prints, 0, 0)
    assert found == {"b": {"a": [(("b", "z"), ("a", "x"))], "b": []}}
    assert repeated_pictures({}, {}, 0, 0) == {}


def test_a_chain_of_near_duplicates_makes_its_ends_no_pair():
    """a and c differ by 16 bits, each by 8 from b: one cluster, but who learns from a has not seen c."""
    sets, prints = sets_of(
        one={"train": {"a": fingerprint(1)}, "none": {}}, two={"val": {"b": fingerprint(1, 8)}, "test": {"c": fingerprint(1, 16)}}
    )  # fmt: skip
    assert repeated_pictures(sets, prints, 12, 4) == {"two": {"one": [], "two": [(("two", "c"), ("two", "b"))]}}


def table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A shop and street photos of garments, each a benchmark; a detector of hats. Two pictures are where they should not be.

    The shop's query q2 is nearly a picture of the data set; the stratified benchmark asks with t, which the shop's own
    one teaches; of two garments in the photo p1 one is a query, and the photo is a training picture of the detector.

    Garments are of one color each. The street's query p1:1 is nearly as red as the data set's training crop m1.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leakage, "features", by_color)
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
        colors = {"q1": "lime", "q2": "red", "t": "lime", "p1:1": (250, 20, 0), "p2:0": "blue"}
        for file, rows in (("queries", queries), ("train", train)):
            columns = {"row_id": rows, "bytes": [picture(colors[row]) for row in rows]}
            columns |= {"split": ["train"] * len(rows)} if file == "train" else {}
            table(data / "benchmarks" / name / f"{file}.parquet", **columns)
    prints = [fingerprint(2, 3), fingerprint(9)]
    table(
        data / "dataset/shard-0000.parquet",
        crop_id=["mm:a", "mm:b"],
        bytes=[picture("red"), picture("black")],
        source=["mm", "mm"],
        image_id=["m1", "m2"],
        split=["train", "test"],
        fingerprint=prints,
    )
    lists = {"detectors": ["hats"], "benchmarks": list(benchmarks)}
    options = LeakageParams(backbone="none", pooling="last", image_size=32, fit="pad", cosine=0.99)
    params = SimpleNamespace(near_hamming=12, near_color=4, leakage=options, **lists)
    args = Namespace(data=data, metrics=tmp_path / "metrics.json", out=tmp_path / "out")
    return tmp_path, lambda **changed: leakage.main(args, SimpleNamespace(**vars(params) | changed))


def test_stage_counts_names_and_says_what_was_seen(project, capsys):
    folder, run = project
    report = run()
    seen = dict.fromkeys(["dataset", "detector hats", "anew", "shop", "street"], 0)
    same = dict.fromkeys(["dataset", "anew", "shop", "street"], 0)  # a detector has no rows
    assert read_json(folder / "out/leakage.json") == {
        "dataset": {
            "pictures": 1, "seen_in_training_of": seen, "examples": {}, "rows": 1, "same_item": 0,
            "same_item_in_training_of": same,
        },
        "detector hats": {"pictures": 1, "seen_in_training_of": seen, "examples": {}},
        "anew": {
            "pictures": 1,
            "seen_in_training_of": seen | {"shop": 1},
            "examples": {"shop": [["shop/t", "shop/t"]]},
            "rows": 1,
            "same_item": 1,
            "same_item_in_training_of": same | {"anew": 1},
        },
        "shop": {
            "pictures": 2,
            "seen_in_training_of": seen | {"dataset": 1, "anew": 1},
            "examples": {"dataset": [["shop/q2", "mm/m1"]], "anew": [["shop/q1", "shop/q1"]]},
            "rows": 2,
            "same_item": 1,
            "same_item_in_training_of": same | {"shop": 1},
        },
        "street": {
            "pictures": 1,
            "seen_in_training_of": seen | {"detector hats": 1},
            "examples": {"detector hats": [["street/p1", "hats/h1"]]},
            "rows": 1,
            "same_item": 1,
            "same_item_in_training_of": same | {"dataset": 1},
        },
    }  # fmt: skip
    assert report.metrics == read_json(folder / "metrics.json") == {
        "seen": 4, "held_out": 6, "rows": 5, "same_item": 3,
    }  # fmt: skip
    said = capsys.readouterr().err
    assert "1 of 2 held-out pictures of shop look like training pictures of dataset, such as shop/q2 like mm/m1" in said
    assert "3 of 5 held-out rows may show an item of a training row" in said


def test_pairs_are_listed_with_their_reason_and_the_suspects_are_drawn(project):
    """Of q1 and t, both green, each asks in one benchmark and teaches in the other."""
    folder, run = project
    report = run()
    with (folder / "out/pairs.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    keys = ("reason", "held_out_set", "held_out", "training_set", "training")
    assert [tuple(line[key] for key in keys) for line in lines] == [
        ("same_item", "anew", "t", "anew", "q1"),
        ("same_item", "shop", "q1", "shop", "t"),
        ("same_item", "street", "p1:1", "dataset", "mm:a"),
        ("near_duplicate", "anew", "shop/t", "shop", "shop/t"),
        ("near_duplicate", "shop", "shop/q2", "dataset", "mm/m1"),
        ("near_duplicate", "shop", "shop/q1", "anew", "shop/q1"),
        ("near_duplicate", "street", "street/p1", "detector hats", "hats/h1"),
    ]
    # The five colors have the means (101, 55, 51) and the deviations (123.71, 100.30, 102): red is standardized
    # (1.2448, -.5484, -.5), and (250, 20, 0) is (1.2044, -.3490, -.5).
    assert [line["cosine"] for line in lines] == ["1.0", "1.0", "0.9919", "", "", "", ""]
    assert report.pictures == [folder / "out/same_item.jpg"] and report.pictures[0].is_file()
    assert {path.name for path in (folder / "out").iterdir()} == {"leakage.json", "pairs.csv", "same_item.jpg"}


def test_the_same_rows_give_the_same_bytes(project):
    folder, run = project
    contents = []
    for _ in range(2):
        run()
        contents.append({path.name: path.read_bytes() for path in (folder / "out").iterdir()})
    assert contents[0] == contents[1]


def test_without_benchmarks_and_suspects_there_is_no_sheet(project):
    folder, run = project
    report = run(benchmarks=[], detectors=[])
    assert report.metrics == {"seen": 0, "held_out": 1, "rows": 1, "same_item": 0}
    assert not report.pictures and not (folder / "out/same_item.jpg").exists()


def test_benchmark_of_another_state_of_its_source_is_one_message(project):
    folder, run = project
    table(folder / "data/benchmarks/shop/queries.parquet", row_id=["q1", "gone"], bytes=[b"", b""])
    with pytest.raises(
        StageError, match=r"benchmarks/shop: 1 rows are not in .*ingested/shop: gone\. .*benchmark@shop"
    ):
        run()
