"""Benchmarks over upstream trees with physical items."""

import io

import pytest
from PIL import Image

from stages.core.errors import StageError

CROP = {"padding": 0.0, "max_side": 64, "min_side": 8, "jpeg_quality": 92}
INSHOP = {"kind": "inshop", "source": "src", "boxes": "whole", "crop": CROP, "detection": None}
CONSUMER = INSHOP | {"kind": "consumer_to_shop"}


def shop(name, role, item, split="test", **more):
    return {"image_id": name, "role": role, "item": item, "category": "Dresses", "split": split} | more


INSHOP_ROWS = [
    shop("q2", "query", "i2", category="Denim"),
    shop("q1", "query", "i1"),
    shop("g1", "gallery", "i1"),
    shop("g2", "gallery", "i2", category="Denim"),
    shop("t1", "train", "i3", split="train"),
    shop("t2", "train", "i4", split="val"),
    shop("t3", "train", "i5", split="test"),  # ingest moved it: a near duplicate of a test picture
]


def ids(rows):
    return [row["row_id"] for row in rows]


def size_of(row):
    return Image.open(io.BytesIO(row["bytes"])).size


def test_inshop_takes_upstreams_query_gallery_and_train(upstream):
    tables, content = upstream.build(INSHOP_ROWS, INSHOP)
    assert [(row["row_id"], row["item"], row["category"]) for row in tables["queries"]] == [
        ("q1", "i1", "Dresses"),
        ("q2", "i2", "Denim"),
    ]
    assert ids(tables["gallery"]) == ["g1", "g2"]
    assert [(row["row_id"], row["split"], row["item"], row["labels"]) for row in tables["train"]] == [
        ("t1", "train", "i3", []),
        ("t2", "val", "i4", []),
    ]
    assert content["left_out"] == {"train: near duplicate of a test image": 1}
    assert (content["train"], content["val"], content["items_in_gallery"]) == (1, 1, 2)
    assert tables["queries"][0]["bytes"] == upstream.jpeg((40, 60), 1)  # a small image keeps its bytes


def test_training_rows_of_a_held_out_item_are_left_out(upstream):
    rows = [*INSHOP_ROWS, shop("t4", "train", "i1", split="train"), shop("t5", "train", "i4", split="train")]
    tables, content = upstream.build(rows, INSHOP)
    assert ids(tables["train"]) == ["t1", "t2"]
    assert content["left_out"]["train: item is held out"] == 2


def test_annotated_boxes_are_cut_and_images_without_one_stay_whole(upstream):
    objects = [("q1", (10, 20, 30, 50)), ("t1", (0, 0, 40, 60))]
    tables, content = upstream.build(INSHOP_ROWS, INSHOP | {"boxes": "annotated"}, objects)
    assert [size_of(row) for row in tables["queries"]] == [(20, 30), (40, 60)]
    assert content["whole_pictures"] == 4  # q2, g1, g2 and t2


def test_boxes_of_a_source_that_has_none_are_refused(upstream):
    with pytest.raises(StageError, match="source src has no boxes, so `boxes: annotated` cannot be cut"):
        upstream.build(INSHOP_ROWS, INSHOP | {"boxes": "annotated"})


def test_long_pictures_are_scaled_and_crops_too_small_are_no_pictures(upstream):
    rows = [shop("q1", "query", "i1", size=(128, 96)), shop("q2", "query", "i1"), shop("g1", "gallery", "i1")]
    rows += [shop("g2", "gallery", "i1"), shop("t1", "train", "i2", split="train")]
    objects = [("q2", (10, 20, 14, 50)), ("g2", (0, 0, 4, 60)), ("t1", (1, 1, 5, 5))]
    tables, content = upstream.build(rows, INSHOP | {"boxes": "annotated"}, objects)
    assert size_of(tables["queries"][0]) == (64, 48)
    assert tables["queries"][1]["bytes"] is None  # 4 pixels wide: a miss
    assert (ids(tables["gallery"]), ids(tables["train"])) == (["g1"], [])
    assert content["queries_missed_by_outcome"] == {"unusable_crop": 1}
    assert content["left_out"] == {"gallery: unusable_crop": 1, "train: unusable_crop": 1}


def test_query_without_match_is_counted(upstream):
    _, content = upstream.build([*INSHOP_ROWS, shop("q9", "query", "i9")], INSHOP)
    assert (content["queries"], content["queries_without_match"]) == (3, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row for row in INSHOP_ROWS if row["role"] != "query"], "no query. Found source src: 3 test, 1 train, 1 val"),
        ([row for row in INSHOP_ROWS if row["role"] != "gallery"], "no gallery row"),
        ([shop("q", "query", "a"), shop("g", "gallery", "b")], "none of 1 queries has a correct row"),
    ],
)
def test_benchmark_that_measures_nothing_is_refused(upstream, rows, message):
    with pytest.raises(StageError, match=message):
        upstream.build(rows, INSHOP)


def test_source_of_another_reader_or_none_is_one_message(upstream):
    rows = [{"image_id": "a", "split": "test", "label": "x"}]
    with pytest.raises(StageError, match=r"no column category, item, role; it has image_id, item_id, label"):
        upstream.build(rows, INSHOP)
    with pytest.raises(StageError, match=r"other: no such folder. Ingested are: src"):
        upstream.build(rows, INSHOP | {"source": "other"})


def pair(name, role, item, status="test", **more):
    return {
        "image_id": name,
        "role": role,
        "item": item,
        "status": status,
        "category": "TOPS/Tee",
        "split": status,
    } | more


PAIRS = [
    pair("c2", "consumer", "i2"),
    pair("c1", "consumer", "i1"),
    pair("s1", "shop", "i1"),
    pair("s2", "shop", "i2"),
    pair("vc", "consumer", "i3", "val"),
    pair("ts", "shop", "i4", "train"),
    pair("tx", "shop", "i5", "train", split="test"),
]


def test_consumers_ask_and_shops_answer(upstream):
    tables, content = upstream.build(PAIRS, CONSUMER)
    assert (ids(tables["queries"]), ids(tables["gallery"])) == (["c1", "c2"], ["s1", "s2"])
    assert [(row["row_id"], row["split"], row["item"]) for row in tables["train"]] == [
        ("ts", "train", "i4"),
        ("vc", "val", "i3"),
    ]
    assert tables["queries"][0]["category"] == "TOPS/Tee"
    assert content["left_out"] == {"train: near duplicate of a test image": 1}


def test_gallery_has_every_file_that_upstream_has_and_counts_those_that_an_item_has_twice(upstream):
    rows = [pair("c1", "consumer", "i1"), pair("s2", "shop", "i1", sha256="x"), pair("s1", "shop", "i1", sha256="x")]
    rows.append(pair("s3", "shop", "i3", sha256="x"))  # another item that shows the same picture
    tables, content = upstream.build(rows, CONSUMER)
    assert ids(tables["gallery"]) == ["s1", "s2", "s3"]
    assert (content["left_out"], content["same_file_again"]) == ({}, 1)


def test_queries_and_held_out_gallery_rows_that_repeat_a_training_picture_name_it(upstream):
    rows = [
        shop("q1", "query", "i1", cluster="g1"),  # repeats its match, which is held out as well
        shop("g1", "gallery", "i1", cluster="g1"),
        shop("q2", "query", "i2", cluster="q2"),
        shop("g2", "gallery", "i2", cluster="g2"),
        shop("t2", "train", "i3", split="train", cluster="g2"),
        shop("t1", "train", "i4", split="val", cluster="q2"),
        shop("t3", "train", "i5", split="train", cluster="q2"),
        shop("t4", "train", "i6", split="train"),
    ]
    tables, content = upstream.build(rows, INSHOP)
    marks = {row["row_id"]: row["repeats"] for part in ("queries", "gallery") for row in tables[part]}
    assert marks == {"q1": None, "g1": None, "q2": "t1", "g2": "t2"}
    assert (content["queries_repeating"], content["gallery_repeating"]) == (1, 1)
    assert ids(tables["train"]) == ["t1", "t2", "t3", "t4"]


def test_image_whose_path_names_no_category_has_one_of_its_own(upstream):
    tables, content = upstream.build([*INSHOP_ROWS, shop("q9", "query", "i1", category=None)], INSHOP)
    assert tables["queries"][-1]["category"] == "unknown"
    assert content["categories"]["queries"] == {"Denim": 1, "Dresses": 1, "unknown": 1}
