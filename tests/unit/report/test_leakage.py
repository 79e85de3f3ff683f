"""Held-out pictures that something learns from all the same, planted and found."""

from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stages.core.files import read_json
from stages.crops.params import DatasetParams
from stages.report import leakage
from stages.report.leakage import PictureSet, seen_pictures, sources_of

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


def test_sources_are_those_of_detectors_and_of_upstream_benchmarks():
    content = {
        "detectors": ["hats"], "benchmarks": ["w", "i"],
        "benchmark": {"w": {"kind": "wardrobe", "source": "mm"}, "i": {"kind": "inshop", "source": "shop"},
                      "unused": {"kind": "inshop", "source": "other"}},
    }  # fmt: skip
    assert sources_of(content) == ["hats", "shop"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A shop's benchmark, one of whose two queries is a training picture of the data set; paths as in the project."""
    monkeypatch.chdir(tmp_path)
    content = {"detectors": [], "benchmarks": ["i"], "benchmark": {"i": {"kind": "inshop", "source": "shop"}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    shop = tmp_path / "data/ingested/shop"
    shop.mkdir(parents=True)
    rows = {
        "image_id": ["q1", "q2", "t"],
        "split": ["test", "test", "train"],
        "fingerprint": [fingerprint(n) for n in (1, 2, 3)],
    }
    pq.write_table(pa.table(rows), shop / "shard-0000.parquet")
    (tmp_path / "data/dataset").mkdir()
    items = {
        "source": ["mm", "mm"],
        "image_id": ["m1", "m2"],
        "split": ["train", "test"],
        "fingerprint": [fingerprint(2, 3), fingerprint(9)],
    }
    pq.write_table(pa.table(items), tmp_path / "data/dataset/items.parquet")
    return tmp_path


def test_stage_counts_names_and_says_what_was_seen(project, capsys):
    params = SimpleNamespace(dataset=DatasetParams.model_validate(OPTIONS))
    report = leakage.main(Namespace(data=project / "data", out=project / "leakage.json"), params)
    assert read_json(project / "leakage.json") == {
        "dataset": {"pictures": 1, "seen_in_training_of": {"dataset": 0, "shop": 0}, "examples": {}},
        "shop": {
            "pictures": 2,
            "seen_in_training_of": {"dataset": 1, "shop": 0},
            "examples": {"dataset": [["shop/q2", "mm/m1"]]},
        },
    }
    assert report.metrics == {"seen": 1, "held_out": 3}
    said = capsys.readouterr().err
    assert "1 of 2 held-out pictures of shop look like training pictures of dataset, such as shop/q2 like mm/m1" in said
