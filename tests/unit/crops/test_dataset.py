"""The merged data set: classes from training rows only, every item accounted for, nothing leaks."""

import hashlib
import json
from argparse import Namespace
from types import SimpleNamespace

import pytest

from stages.contracts.tables import CROPS, HEADS, LABELS, OUTCOMES, read_shards, read_table, write_rows, write_shards
from stages.core.errors import StageError
from stages.crops import dataset as merge
from stages.crops.params import DatasetParams


def fingerprint(number):
    """224 bytes as stages.ingest.fingerprint makes them, far from those of every other number."""
    return hashlib.sha256(str(number).encode()).digest() * 7


def item(number, group, split="train", **labels):
    return {
        "item_id": f"i{number:03}", "image_id": f"p{number}", "photo": f"p{number}", "source": "shop", "split": split, "group_id": group,
        "cluster": f"p{number}", "fingerprint": fingerprint(number), "instance": None, "colorway": None, "view": None, "superclass": "top", "agrees": ["top"],
        **dict.fromkeys(HEADS), **labels,
    }  # fmt: skip


def test_classes_come_from_training_rows_only():
    rows = [
        item(1, "a", type="shirt"),
        item(2, "b", type="dress"),
        item(3, "c", "val", type="coat"),
        item(4, "d", color="red"),
    ]
    classes = merge.vocabulary(rows)
    assert classes["type"] == ["dress", "shirt"]
    assert classes["color"] == ["red"]
    assert classes["fabric"] == []


def test_statistics_count_labels_by_split():
    counts = merge.statistics([item(1, "a", type="shirt"), item(2, "b", type="shirt"), item(3, "c", "val")])
    assert counts["rows"] == {"train shop": 2, "val shop": 1}
    assert counts["labelled"]["type"] == {"train": 2}
    assert counts["values"]["type"] == {"train": {"shirt": 2}, "val": {}, "test": {}}
    assert counts["coverage"]["type"] == {"shop": 2}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Sixty items of 30 people, upstream splits by person; two items were never detected."""
    monkeypatch.chdir(tmp_path)
    splits = ["train"] * 20 + ["val"] * 5 + ["test"] * 5
    items = [item(n, f"g{n % 30}", splits[n % 30], type=["shirt", "dress"][n % 2]) for n in range(60)]
    items[25]["type"] = "coat"  # validation alone has a coat
    outcomes = [{**dict.fromkeys(OUTCOMES.names), "item_id": one["item_id"], "outcome": "matched"} for one in items]
    outcomes[3]["outcome"] = outcomes[33]["outcome"] = "no_detection"
    crops = [
        {"crop_id": f"shop:{one['item_id']}", **one, "detector": "d", "detected_class": "top", "confidence": 0.9, "width": 4, "height": 4, "bytes": b"x"}
        for one, found in zip(items, outcomes, strict=True) if found["outcome"] == "matched"
    ]  # fmt: skip
    write_rows(tmp_path / "labels/shop/labels.parquet", LABELS, items)
    write_rows(tmp_path / "crops/shop/outcomes.parquet", OUTCOMES, outcomes)
    write_shards(tmp_path / "crops/shop", CROPS, crops, "crop_id", 2)
    return tmp_path


def stage(shop, sources=("shop",), **changes):
    params = DatasetParams.model_validate(
        {
            "shares": (0.5, 0.25, 0.25),
            "upstream_splits": [],
            "group_namespaces": {},
            "near_hamming": 12,
            "near_color": 8,
            "shards": 2,
        }
        | changes
    )
    args = Namespace(labels=shop / "labels", crops=shop / "crops", out=shop / "dataset")
    merge.main(args, SimpleNamespace(dataset=params, label_sources=sources))
    return shop / "dataset"


def test_every_item_has_a_split_and_every_crop_has_its_items(shop):
    out = stage(shop)
    items = read_table(out / "items.parquet", merge.ITEMS).to_pylist()
    crops = read_shards(out).to_pylist()
    assert (len(items), len(crops)) == (60, 58)
    split = {one["item_id"]: one["split"] for one in items}
    assert all(crop["split"] == split[crop["item_id"]] for crop in crops)
    assert {one["item_id"] for one in items if one["outcome"] == "no_detection"} == {"i003", "i033"}


def test_people_do_not_cross_splits(shop):
    splits = {}
    for one in read_table(stage(shop) / "items.parquet").to_pylist():
        splits.setdefault(one["group_id"], set()).add(one["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_class_without_a_training_row_becomes_unknown_and_is_counted(shop):
    out = stage(shop, upstream_splits=["shop"])
    assert json.loads((out / "vocabulary.json").read_text())["type"] == ["dress", "shirt"]
    assert [crop["type"] for crop in read_shards(out).to_pylist() if crop["item_id"] == "i025"] == [None]
    account = json.loads((out / "account.json").read_text())
    assert account["notes"]["labels of classes without a training row"] == {"type coat": 1}
    assert account["crops"] == {"rows_in": 58, "rows_kept": 58, "rejected": {}, "repaired": {}}


def test_same_inputs_give_the_same_bytes(shop):
    first = {path.name: path.read_bytes() for path in stage(shop).iterdir()}
    assert {path.name: path.read_bytes() for path in stage(shop).iterdir()} == first


def test_empty_split_is_one_message(shop):
    with pytest.raises(StageError, match=r"no crop in split (val|test) \(58 crops in all\)"):
        stage(shop, shares=(0.999998, 0.000001, 0.000001))


def test_no_sources_is_one_message(shop):
    with pytest.raises(StageError, match="`label_sources` is empty"):
        stage(shop, sources=[])
