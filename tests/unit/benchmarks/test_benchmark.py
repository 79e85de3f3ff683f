"""DeepFashion2's pairs: by annotated boxes, and by detected ones, where what no detector found is a miss."""

import io
from pathlib import Path

import pytest
from PIL import Image

from stages.benchmarks import benchmark
from stages.contracts.tables import BOXES, write_rows
from stages.core.errors import StageError

CROP = {"padding": 0.0, "max_side": 64, "min_side": 4, "jpeg_quality": 92}
DETECTION = {"detector": "df", "confidence": 0.1, "overlap": 0.5, "batch": 2}
ANNOTATED = {"kind": "pairs", "source": "src", "boxes": "annotated", "crop": CROP}
DETECTED = ANNOTATED | {"boxes": "detected", "detection": DETECTION}


def image(name, taken_by, split="test"):
    return {"image_id": name, "split": split, "taken_by": taken_by}


def garment(name, number, pair, style, box=(0, 0, 20, 30), kind="trousers"):
    return {
        "object_id": f"{name}:item{number}", "image_id": name, "class_name": kind, "pair_id": pair, "style": style,
        "box": box,
    }  # fmt: skip


IMAGES = [
    image("validation-000001", "user"),
    image("validation-000002", "shop"),
    image("validation-000003", "shop"),
    image("train-000001", "user", "train"),
    image("train-000002", "shop", "val"),
    image("train-000003", "shop", "test"),  # ingest moved it: a near duplicate of a test image
]
GARMENTS = [
    garment("validation-000001", 1, "5", 1),
    garment("validation-000001", 2, "5", 2, (20, 30, 40, 60), "vest"),
    garment("validation-000001", 3, "5", 0, (0, 40, 10, 60)),
    garment("validation-000002", 1, "5", 1, (5, 5, 25, 45)),
    garment("validation-000002", 2, "5", 0, (30, 5, 40, 45), "vest"),
    garment("validation-000003", 1, "6", 1),
    garment("train-000001", 1, "5", 1),
    garment("train-000002", 1, "9", 0),
    garment("train-000003", 1, "7", 1),
]


def by_id(rows):
    return {row["row_id"]: row for row in rows}


def size_of(row):
    return Image.open(io.BytesIO(row["bytes"])).size


def test_users_garments_with_a_style_ask_and_all_of_the_shops_answer(upstream):
    tables, content = upstream.build(IMAGES, ANNOTATED, GARMENTS)
    queries, gallery = by_id(tables["queries"]), by_id(tables["gallery"])
    assert {key: row["item"] for key, row in queries.items()} == {
        "validation-000001:item1": "validation-pair-5-style-1",
        "validation-000001:item2": "validation-pair-5-style-2",
    }
    assert {key: row["item"] for key, row in gallery.items()} == {
        "validation-000002:item1": "validation-pair-5-style-1",
        "validation-000002:item2": "validation-000002:item2",  # no style: the same as no other
        "validation-000003:item1": "validation-pair-6-style-1",
    }
    assert queries["validation-000001:item2"]["category"] == "vest"
    assert size_of(gallery["validation-000002:item1"]) == (20, 40)
    assert content["queries_without_match"] == 1
    assert content["left_out"] == {"queries: no style": 1, "train: near duplicate of a test image": 1}


def test_annotated_garments_carry_the_class_that_the_detectors_table_has_of_them(upstream, tmp_path):
    """What a detector would say of the box is known: the classifier is told, as it was in training."""
    classes = {
        "validation-000001:item1": "bottom",
        "validation-000001:item2": "vest",
        "validation-000002:item1": "bottom",
    }
    rows = [dict.fromkeys(BOXES.names) | {"object_id": name, "superclass": own} for name, own in classes.items()]
    write_rows(tmp_path / "boxes" / "src" / "boxes.parquet", BOXES, rows)
    tables, _ = upstream.build(IMAGES, ANNOTATED, GARMENTS, boxes=tmp_path / "boxes" / "src")
    found = {row["row_id"]: row["detected_class"] for part in ("queries", "gallery") for row in tables[part]}
    assert found == classes | {"validation-000002:item2": None, "validation-000003:item1": None}  # no garments there
    with pytest.raises(StageError, match="`benchmark_reads.b` names .*/boxes, but `benchmark.b` reads src"):
        upstream.build(IMAGES, ANNOTATED, GARMENTS, boxes=tmp_path / "boxes")


def test_without_a_detectors_table_the_class_of_a_garment_is_not_known(upstream):
    tables, _ = upstream.build(IMAGES, ANNOTATED, GARMENTS)
    assert {row["detected_class"] for part in ("queries", "gallery") for row in tables[part]} == {None}


def test_train_pairs_are_other_items_than_validations_of_the_same_number(upstream):
    tables, _ = upstream.build(IMAGES, ANNOTATED, GARMENTS)
    assert [(row["row_id"], row["split"], row["item"]) for row in tables["train"]] == [
        ("train-000001:item1", "train", "train-pair-5-style-1"),
        ("train-000002:item1", "val", None),
    ]


def test_copy_that_does_not_say_who_took_a_photo_is_one_message(upstream):
    with pytest.raises(StageError, match="no image tells whether a shop or a user took it"):
        upstream.build([image(row["image_id"], None, row["split"]) for row in IMAGES], ANNOTATED, GARMENTS)


def found(x1, y1, x2, y2, superclass="bottom", confidence=0.9):
    return {"superclass": superclass, "confidence": confidence, "x1": x1, "y1": y1, "x2": x2, "y2": y2}


class Found:
    """A detector whose detections are known by the picture's content."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, images, confidence, nms):
        assert (confidence, nms.iou, nms.per_class) == (0.1, 0.65, True)
        return [self.answers.get(round(float(image.mean()), 3), []) for image in images]


@pytest.fixture
def detected(upstream, monkeypatch):
    """``detected(answers)``: the benchmark by boxes that a detector of these answers finds: image number -> boxes."""

    def run(answers, images=IMAGES, garments=GARMENTS):
        import numpy as np

        means = {}
        for number, boxes in answers.items():
            picture = np.asarray(Image.open(io.BytesIO(upstream.jpeg((40, 60), number))))
            means[round(float(picture.mean()), 3)] = boxes
        monkeypatch.setattr(benchmark, "load", lambda folder: Found(means))
        return upstream.build(images, DETECTED, garments, detectors=Path("models"))

    return run


def test_detected_boxes_are_cut_with_the_detected_class(detected):
    tables, content = detected({0: [found(0, 0, 20, 28), found(20, 30, 40, 60, "top")], 1: [found(5, 5, 25, 40)]})
    queries, gallery = by_id(tables["queries"]), by_id(tables["gallery"])
    assert size_of(queries["validation-000001:item1"]) == (20, 28)
    assert queries["validation-000001:item2"]["detected_class"] == "top"
    assert size_of(gallery["validation-000002:item1"]) == (20, 35)
    # The shop's other garments were not detected, and nobody asks for them.
    assert content["left_out"]["gallery: no_detection"] == 2 and content["queries_missed"] == 0
    assert tables["train"][0]["bytes"] and tables["train"][0]["split"] == "train"


def test_garment_of_a_user_that_was_not_detected_is_a_miss(detected):
    tables, content = detected({0: [found(30, 0, 40, 20)], 1: [found(5, 5, 25, 45)]})
    assert [row["bytes"] for row in tables["queries"]] == [None, None]
    assert content["queries_missed_by_outcome"] == {"no_detection": 2}


def test_garment_that_was_detected_in_no_shop_is_a_miss_that_stays_in_the_averages(detected):
    tables, content = detected({0: [found(0, 0, 20, 30)]})
    queries, gallery = by_id(tables["queries"]), by_id(tables["gallery"])
    assert queries["validation-000001:item1"]["bytes"] is None
    assert content["queries_missed_by_outcome"] == {"no_detection": 1, "no_detection_in_shop": 1}
    stand_in = gallery["validation-000002:item1"]
    assert stand_in["item"] == "validation-pair-5-style-1" and size_of(stand_in) == (40, 60)  # the whole photo
    assert (content["gallery"], content["gallery_stand_ins"]) == (1, 1)


def test_one_photo_of_the_shop_that_was_detected_is_enough(detected):
    images = [*IMAGES, image("validation-000004", "shop")]
    garments = [*GARMENTS, garment("validation-000004", 1, "5", 1)]
    tables, content = detected({0: [found(0, 0, 20, 30)], 6: [found(0, 0, 20, 30)]}, images, garments)
    assert set(by_id(tables["gallery"])) == {"validation-000004:item1"}
    assert by_id(tables["queries"])["validation-000001:item1"]["bytes"]
    assert content["gallery_stand_ins"] == 0


def test_missing_detector_is_one_message(upstream, tmp_path):
    with pytest.raises(StageError, match="no such detector. Trained are: nothing"):
        upstream.build(IMAGES, DETECTED, GARMENTS, detectors=tmp_path / "models")


def test_folder_of_another_source_or_detector_is_one_message():
    with pytest.raises(StageError, match="`benchmark_reads.b` names models/df, but `benchmark.b` reads other"):
        benchmark._named(Path("models/df"), "other", "b")


def test_detected_boxes_need_the_options_of_detection(upstream):
    with pytest.raises(StageError, match="boxes: detected needs detection, and kind pairs"):
        upstream.build(IMAGES, DETECTED | {"detection": None}, GARMENTS)
