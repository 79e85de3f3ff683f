"""Benchmarks over upstream trees: physical items, categories, sets of labels."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from profiles import composed
from stages.benchmarks.from_upstream import matched
from stages.core.errors import StageError
from stages.encoders.siamese import frequent

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
    with pytest.raises(StageError, match="source src has no boxes, so `boxes: annotated` is impossible"):
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


PAPER = composed("paper")
FINE_CROP = {"padding": 0.0, "max_side": 64, "min_side": 4, "jpeg_quality": 92}
LABELS = {"kind": "multilabel", "source": "src", "boxes": "whole", "crop": FINE_CROP, "detection": None}
CATEGORY = LABELS | {"kind": "image_category", "protocol": "official", "min_category_images": 0}


def image(name, status, category, **more):
    return {"image_id": name, "split": status, "status": status, "category": category} | more


ROWS = [
    image("q1", "test", "Tee"),
    image("q2", "test", "Sundress"),
    image("q3", "test", None),
    image("t1", "train", "Tee"),
    image("t2", "train", "Dress"),
    image("t3", "train", "Cape"),
    image("v1", "val", "Tee"),
]


def test_official_protocol_searches_training_images_for_the_category(upstream):
    tables, content = upstream.build(ROWS, CATEGORY)
    assert [(row["row_id"], row["item"], row["category"]) for row in tables["queries"]] == [
        ("q1", "Tee", "Tee"),
        ("q2", "Dress", "Dress"),
    ]
    assert [(row["row_id"], row["item"]) for row in tables["gallery"]] == [
        ("t1", "Tee"),
        ("t2", "Dress"),
        ("t3", "Dress"),
    ]
    assert [(row["row_id"], row["split"], row["item"], row["category"]) for row in tables["train"]] == [
        ("t1", "train", None, "Tee"),
        ("t2", "train", None, "Dress"),
        ("t3", "train", None, "Dress"),
        ("v1", "val", None, "Tee"),
    ]
    assert content["classes"] == ["Dress", "Tee"]
    assert content["left_out"] == {"no category": 1}


def test_gallery_that_teaches_names_the_query_that_it_repeats(upstream):
    rows = [row | ({"cluster": "q1"} if row["image_id"] in ("q1", "t2") else {}) for row in ROWS]
    tables, content = upstream.build(rows, CATEGORY)
    marks = {row["row_id"]: row["repeats"] for part in ("queries", "gallery") for row in tables[part]}
    assert marks == {"q1": "t2", "q2": None, "t1": None, "t2": "q1", "t3": None}
    assert (content["queries_repeating"], content["gallery_repeating"]) == (1, 1)


def test_rare_categories_are_left_out_of_all_parts(upstream):
    rows = [*ROWS, image("q4", "test", "Cape"), image("t4", "train", "Robe"), image("q5", "test", "Robe")]
    tables, content = upstream.build(rows, CATEGORY | {"min_category_images": 2})
    assert (ids(tables["queries"]), ids(tables["gallery"])) == (["q2", "q4"], ["t2", "t3"])
    assert content["classes"] == ["Dress"]
    assert content["left_out"]["category with too few images"] == 5  # q1, t1, v1 and the two robes


def test_stratified_protocol_cuts_upstreams_training_images_a_fifth_each(upstream):
    rows = [image(f"{category}{number:02d}", "train", category) for category in ("Tee", "Coat") for number in range(50)]
    tables, content = upstream.build([*rows, *ROWS[:2]], CATEGORY | {"protocol": "stratified"})
    assert Counter(row["category"] for row in tables["queries"]) == {"Tee": 10, "Coat": 10}
    assert Counter((row["category"], row["split"]) for row in tables["train"]) == {
        ("Tee", "train"): 36, ("Tee", "val"): 4, ("Coat", "train"): 36, ("Coat", "val"): 4,
    }  # fmt: skip
    assert ids(tables["gallery"]) == ids(tables["train"])
    assert not set(ids(tables["queries"])) & set(ids(tables["train"]))
    assert content["left_out"] == {"upstream's test": 2}
    assert content["protocol"] == "stratified"


def test_siamese_network_of_the_paper_learns_the_categories_that_ask(upstream):
    """Published: those with at least 100 images. A fifth asks and a tenth of the rest validates, so 72 % teach."""
    siamese = PAPER["encoder"]["siamese"]
    table = PAPER["benchmark"][siamese["learns_from"]["table"]]
    assert (table["protocol"], table["min_category_images"]) == ("stratified", 100)
    sizes = {"Blazer": 99, "Coat": 100, "Hoodie": 120, "Jeans": 138, "Skirt": 139, "Tee": 200}
    rows = [image(f"{name}{number:03}", "train", name) for name, size in sizes.items() for number in range(size)]
    tables, content = upstream.build(rows, table | {"source": "src", "crop": FINE_CROP})
    teaching = [row["category"] for row in tables["train"] if row["split"] == "train"]
    assert Counter(row["category"] for row in tables["queries"]) == {
        "Coat": 20, "Hoodie": 24, "Jeans": 28, "Skirt": 28, "Tee": 40,
    }  # fmt: skip
    assert Counter(teaching) == {"Coat": 72, "Hoodie": 86, "Jeans": 99, "Skirt": 100, "Tee": 144}
    learned = frequent(np.array(teaching, object), siamese["min_images"])
    assert learned == sorted({row["category"] for row in tables["queries"]}) == content["classes"]
    assert content["left_out"] == {"category with too few images": 99}


def test_first_protocol_of_the_same_publication_asks_all_45_categories(upstream):
    """It names 45 categories, some with fewer than 5 images; those with one or two have none left to ask with."""
    assert "category_fine_stratified" in PAPER["benchmarks"]
    table = PAPER["benchmark"]["category_fine_stratified"]
    names = [f"category{number:02}" for number in range(1, 46)]
    rows = [image(f"{name}-{one}", "train", name) for size, name in enumerate(names, 1) for one in range(size)]
    tables, content = upstream.build(rows, table | {"source": "src", "crop": FINE_CROP})
    assert content["classes"] == names and "left_out" in content and content["left_out"] == {}
    assert sorted({row["category"] for row in tables["queries"]}) == names[2:]
    asking = Counter(row["category"] for row in tables["queries"])
    assert all(asking[name] == pytest.approx(size / 5, abs=0.5) for size, name in enumerate(names, 1))


def test_stratified_protocol_counts_all_of_upstreams_training_images(upstream):
    """It cuts them anew, wherever ingest has put some of them."""
    rows = [image(f"t{number}", "train", "Tee") | ({"split": "val"} if number < 2 else {}) for number in range(10)]
    tables, content = upstream.build(rows, CATEGORY | {"protocol": "stratified", "min_category_images": 10})
    assert (len(tables["queries"]), len(tables["gallery"]), content["left_out"]) == (2, 8, {})


def test_stratified_protocol_keeps_near_duplicates_on_one_side(upstream):
    rows = [image(f"a{number:02d}", "train", "Tee", cluster=f"a{number // 4 * 4:02d}") for number in range(40)]
    tables, content = upstream.build(rows, CATEGORY | {"protocol": "stratified"})
    assert (content["queries_repeating"], content["gallery_repeating"]) == (0, 0)
    queries = {int(name[1:]) // 4 for name in ids(tables["queries"])}
    assert len(queries) == 2 and not queries & {int(name[1:]) // 4 for name in ids(tables["gallery"])}


def test_sets_of_labels_decide_and_train_rows_carry_the_labels(upstream):
    def labeled(name, split, labels):
        return {"image_id": name, "split": split, "status": split, "labels": labels}

    rows = [
        labeled("q1", "test", "skirt|hat"),
        labeled("q2", "test", "hat"),
        labeled("t1", "train", "hat|skirt"),
        labeled("t2", "train", "hat|shirt|skirt"),
        labeled("v1", "val", "hat"),
        labeled("t3", "train", ""),
    ]
    tables, content = upstream.build(rows, LABELS)
    assert [(row["row_id"], row["item"]) for row in tables["queries"]] == [("q1", "hat|skirt"), ("q2", "hat")]
    assert {row["category"] for part in tables.values() for row in part} == {"outfit"}
    assert ids(tables["gallery"]) == ["t1", "t2"]
    assert [(row["row_id"], row["split"], row["labels"]) for row in tables["train"]] == [
        ("t1", "train", ["hat", "skirt"]),
        ("t2", "train", ["hat", "shirt", "skirt"]),
        ("v1", "val", ["hat"]),
    ]
    assert content["classes"] == ["hat", "shirt", "skirt"]
    assert content["images_by_label"] == {"hat": 2, "shirt": 1, "skirt": 2}
    assert (content["queries_without_match"], content["left_out"]) == (1, {"no label": 1})


@pytest.mark.parametrize("protocol", ["official", "stratified"])
def test_classes_are_those_of_training_images_only(upstream, protocol):
    rows = [*ROWS, image("v2", "val", "Robe")]
    if protocol == "official":
        assert upstream.build(rows, CATEGORY)[1]["classes"] == ["Dress", "Tee"]
    else:
        many = [image(f"t{number}", "train", "Coat") for number in range(20)]
        assert upstream.build([*many, *rows[-1:]], CATEGORY | {"protocol": protocol})[1]["classes"] == ["Coat"]


def found(x1, y1, x2, y2, superclass="bottom", confidence=0.9):
    return {"superclass": superclass, "confidence": confidence, "x1": x1, "y1": y1, "x2": x2, "y2": y2}


def test_a_detection_is_one_garment_only_and_the_largest_overlap_wins():
    boxes = {"a": (0, 0, 10, 10), "b": (0, 0, 10, 12), "c": (50, 50, 60, 60)}
    detections = [found(0, 0, 10, 12), found(0, 0, 10, 9)]
    assert matched(boxes, detections, 0.5) == {"b": detections[0], "a": detections[1]}
    assert matched(boxes, detections[:1], 0.5) == {"b": detections[0]}
    assert matched(boxes, detections, 0.95) == {"b": detections[0]}
    assert matched(boxes, [], 0.5) == {}
