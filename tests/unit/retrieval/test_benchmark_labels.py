"""Benchmarks by category and by sets of labels."""

from collections import Counter

import numpy as np
import pytest

from profiles import composed
from stages.encoders.siamese import frequent

PAPER = composed("paper")
CROP = {"padding": 0.0, "max_side": 64, "min_side": 4, "jpeg_quality": 92}
LABELS = {"kind": "multilabel", "source": "src", "boxes": "whole", "crop": CROP, "detection": None}
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


def ids(rows):
    return [row["row_id"] for row in rows]


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
    tables, content = upstream.build(rows, table | {"source": "src", "crop": CROP})
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
    tables, content = upstream.build(rows, table | {"source": "src", "crop": CROP})
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
