"""The merged data set: classes from training rows only, every item accounted for, splits that nothing crosses."""

import hashlib
import io
import json
import random
from argparse import Namespace
from types import SimpleNamespace

import networkx as nx
import pytest
from PIL import Image, ImageEnhance

from stages.contracts.tables import (
    CROPS,
    HEADS,
    LABELS,
    OUTCOMES,
    SHARES,
    read_shards,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.errors import StageError
from stages.crops import dataset as merge
from stages.crops.dataset import assign, check_no_leakage, leakage_units, pictures
from stages.crops.params import DatasetParams
from stages.ingest.fingerprint import fingerprint


def print_of(number):
    """224 bytes as stages.ingest.fingerprint makes them, far from those of every other number."""
    return hashlib.sha256(str(number).encode()).digest() * 7


def item(number, group, split="train", **labels):
    return {
        "item_id": f"i{number:03}", "image_id": f"p{number}", "photo": f"p{number}", "source": "shop", "split": split, "group_id": group,
        "cluster": f"p{number}", "fingerprint": print_of(number), "instance": None, "colorway": None, "view": None, "superclass": "top", "agrees": ["top"],
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
    assert counts["labeled"]["type"] == {"train": 2}
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


def row(group, cluster, source="s", split="train", picture=None):
    return {
        "source": source,
        "group_id": group,
        "cluster": cluster,
        "picture": picture or f"{source}/{cluster}",
        "split": split,
    }


def test_rows_of_a_group_or_a_cluster_share_their_unit():
    units = leakage_units([row("anna", "p1"), row("anna", "p2"), row("bea", "p2"), row("cleo", "p9")], {})
    assert units[0] == units[1] == units[2] != units[3]


def test_sharing_is_transitive_over_any_number_of_steps():
    chain = [row(f"g{n}", f"c{n}") for n in range(20)] + [row(f"g{n}", f"c{n + 1}") for n in range(19)]
    random.Random(0).shuffle(chain)
    assert len(set(leakage_units(chain, {}))) == 1


def test_same_names_in_two_sources_are_not_the_same():
    units = leakage_units([row("anna", "p1", "a"), row("anna", "p1", "b")], {})
    assert units[0] != units[1]


def test_group_and_cluster_of_the_same_name_are_not_the_same():
    units = leakage_units([row("x", "y"), row("y", "x")], {})
    assert units[0] != units[1]


def tempting(count=400, seed=0):
    """People with several outfits; one photo in four is a near duplicate of a stranger's."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        cluster = f"p{draw.randrange(count)}" if draw.random() < 0.25 else f"p{number}"
        rows.append(
            row(
                f"person{draw.randrange(count // 2)}", cluster, draw.choice("ab"), draw.choice(["train", "val", "test"])
            )
        )
    return rows


def test_units_are_the_connected_components_of_the_graph():
    rows = tempting()
    graph = nx.Graph()
    for number, one in enumerate(rows):
        graph.add_edge(number, ("group", one["source"], one["group_id"]))
        graph.add_edge(number, ("cluster", one["source"], one["cluster"]))
    expected = {frozenset(node for node in part if isinstance(node, int)) for part in nx.connected_components(graph)}
    by_unit = {}
    for number, unit in enumerate(leakage_units(rows, {})):
        by_unit.setdefault(unit, set()).add(number)
    assert {frozenset(part) for part in by_unit.values()} == expected


@pytest.mark.parametrize("upstream", [[], ["a"], ["a", "b"]])
def test_nothing_leaks_on_data_made_to_tempt_it(upstream):
    rows = tempting()
    splits = assign(rows, SHARES, upstream, {})
    check_no_leakage([one | {"split": split} for one, split in zip(rows, splits, strict=True)], {})
    assert set(splits) == {"train", "val", "test"}


def test_split_by_row_alone_would_have_leaked():
    """The check has teeth: splitting the same rows one by one is found out."""
    with pytest.raises(StageError, match=r"leakage: (group_id|cluster) './\1/.*' is in splits"):
        check_no_leakage(tempting(), {})


def test_splits_do_not_depend_on_the_order_of_rows():
    rows = tempting()
    order = list(range(len(rows)))
    random.Random(1).shuffle(order)
    straight = assign(rows, SHARES, [], {})
    shuffled = assign([rows[index] for index in order], SHARES, [], {})
    assert shuffled == [straight[index] for index in order]


def test_upstream_split_is_kept_where_it_is_clean():
    rows = [row(name, name, split=split) for name, split in (("a", "train"), ("b", "val"), ("c", "test"))]
    assert assign(rows, (0.98, 0.01, 0.01), ["s"], {}) == ["train", "val", "test"]


def test_unit_that_upstream_cuts_goes_to_the_most_held_out_split():
    rows = [row("anna", "p1", split="train"), row("anna", "p2", split="val"), row("bea", "p2", split="test")]
    assert assign(rows, SHARES, ["s"], {}) == ["test"] * 3
    assert assign(rows[:2], SHARES, ["s"], {}) == ["val"] * 2


def test_upstream_splits_of_other_sources_are_not_looked_at():
    rows = [row(f"g{n}", f"c{n}", split="test") for n in range(60)]
    assert set(assign(rows, SHARES, ["another"], {})) == {"train", "val", "test"}


def photo(seed, size=(96, 128)):
    """A picture of its own for each seed: soft blobs of color, with no flat areas, as in a photo."""
    draw_from = random.Random(seed)
    small = Image.new("RGB", (6, 8))
    small.putdata([tuple(draw_from.randrange(256) for _ in range(3)) for _ in range(48)])
    return small.resize(size, Image.Resampling.BICUBIC)


def copy_of(image):
    """As another shop would store it: a little brighter, compressed harder."""
    stream = io.BytesIO()
    ImageEnhance.Brightness(image).enhance(1.01).save(stream, "JPEG", quality=60)
    return Image.open(stream)


def shot(source, group, image_id, image):
    return {
        "source": source,
        "group_id": group,
        "cluster": image_id,
        "image_id": image_id,
        "fingerprint": fingerprint(image),
        "split": "train",
    }


def split_of(rows, namespaces, shares=(0.4, 0.3, 0.3)):
    for one, picture in zip(rows, pictures(rows, 12, 8), strict=True):
        one["picture"] = picture
    return assign(rows, shares, [], namespaces)


def test_same_photo_in_two_sources_ties_its_people_together():
    rows = []
    for number in range(30):
        original = photo(number)
        rows.append(shot("shop", f"product{number}", f"s{number}", original))
        rows.append(shot("street", f"sender{number}", f"p{number}", copy_of(original)))
    splits = split_of(rows, {})
    assert splits[::2] == splits[1::2]
    assert len(set(splits)) == 3


def test_sender_under_two_ids_is_found_by_the_photo_both_have():
    shared = photo(1)
    rows = [
        shot("street", "anna", "a1", photo(2)),
        shot("street", "anna", "a2", shared),
        shot("street", "anna2", "b1", copy_of(shared)),
        shot("street", "anna2", "b2", photo(3)),
    ]
    assert len(set(split_of(rows, {}))) == 1


def test_person_in_two_sources_of_one_namespace_stays_in_one_split():
    rows = [shot("multimodal", f"WOMEN-id_{n}", f"m{n}", photo(n)) for n in range(30)]
    rows += [shot("in_shop", f"WOMEN-id_{n}", f"i{n}", photo(100 + n)) for n in range(30)]
    tied = split_of(rows, {"multimodal": "deepfashion", "in_shop": "deepfashion"})
    assert tied[:30] == tied[30:]
    apart = split_of(rows, {})
    assert apart[:30] != apart[30:]


def test_check_finds_a_picture_that_crosses_splits():
    original = photo(5)
    rows = [shot("shop", "a", "s", original), shot("street", "b", "p", copy_of(original))]
    for one, picture in zip(rows, pictures(rows, 12, 8), strict=True):
        one["picture"] = picture
    rows[1]["split"] = "test"
    with pytest.raises(StageError, match=r"leakage: picture 'picture/shop/s' is in splits test, train"):
        check_no_leakage(rows, {})
    assert check_no_leakage([rows[0]], {}) == {"group_id": 1, "cluster": 1, "picture": 1}
