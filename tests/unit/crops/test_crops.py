"""The matching stage with detectors whose findings are known."""

import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stages.contracts.boxes import PLAIN
from stages.contracts.images import encode_jpeg, open_rgb
from stages.contracts.tables import (
    CROPS,
    DETECTIONS,
    HEADS,
    IMAGES,
    LABELS,
    OBJECTS,
    OUTCOMES,
    SALIENT,
    read_shards,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.errors import StageError
from stages.crops import crops as match
from stages.crops.params import CropParams
from stages.ingest.reading import box_row
from stages.networks.detector.detection_sheets import COLORS
from stages.networks.detector.params import NmsParams

# What the detectors find by the width of the image, which here names it.
FOUND = {
    "clothes": {
        50: [("top", 0.9, (5, 5, 45, 45))],
        51: [("bottom", 0.8, (0, 0, 40, 40))],
        53: [("top", 0.7, (0, 0, 8, 8))],
    },
    "shoes": {51: [("footwear", 0.6, (20, 20, 50, 50))]},
}
NMS = NmsParams(iou=0.7, per_class=True)
NAMES = {"clothes": ["top", "bottom"], "shoes": ["footwear"]}


class Known:
    """A detector that knows the images by their width, and counts what it is asked."""

    def __init__(self, name):
        self.name, self.names, self.asked = name, NAMES[name], []

    def predict(self, images, confidence, nms):
        assert nms is NMS
        self.asked += [image.shape[1] for image in images]
        return [
            [{"superclass": kind, "confidence": score, **dict(zip(("x1", "y1", "x2", "y2"), map(float, corners), strict=True))}
             for kind, score, corners in FOUND[self.name].get(image.shape[1], [])]
            for image in images
        ]  # fmt: skip


def test_salient_box_cuts_the_crop_where_params_say_so_and_the_whole_image_where_there_is_none(shop):
    common = {"split": "train", "width": 50, "height": 50}
    seen = {"sureness": 0.75, "x1": 10.0, "y1": 5.0, "x2": 40.0, "y2": 45.0}
    rows = [
        common | {"image_id": "w50"} | seen,
        common | {"image_id": "w51", "reason": "several_salient"} | seen,  # not sure enough to learn from
        common | {"image_id": "w52", "reason": "nothing_salient", "sureness": 0.0},
        common | {"image_id": "w53", "reason": "nothing_salient"} | seen,  # a spot
    ]
    write_shards(shop.root / "shop", SALIENT, rows, "image_id", 2)
    options = {"boxes": "salient", "agreement": "ignored", "no_detection": "whole_image"}
    out = stage(shop, **options, assignment="each_alone")
    crops = {row["item_id"]: row for row in read_shards(out).to_pylist()}
    told = {name: (row["detector"], row["detected_class"], row["confidence"], row["width"], row["height"])
            for name, row in crops.items()}  # fmt: skip
    assert told == {
        "matched": ("salient", "none", 0.75, 30, 40), "mismatched": ("salient", "none", 0.75, 30, 40),
        "shoe": ("salient", "none", 0.75, 30, 40), "unseen": ("none", "none", None, 52, 50),
        "tiny": ("none", "none", None, 53, 50),
    }  # fmt: skip
    assert not shop.detectors["clothes"].asked
    detections = read_table(out / "detections.parquet", DETECTIONS).to_pylist()
    assert [(row["image_id"], row["detector"], row["x1"]) for row in detections] == [
        ("w50", "salient", 10), ("w51", "salient", 10),
    ]  # fmt: skip


def test_mask_takes_the_background_out_of_the_crop_where_params_say_so(shop):
    """The photos are red, and what is salient is their upper half."""
    mask = np.zeros((20, 20), np.uint8)
    mask[:10] = 255
    common = {"split": "train", "width": 50, "height": 50, "mask": mask.tobytes()}
    box = {"sureness": 0.75, "x1": 0.0, "y1": 0.0, "x2": 50.0, "y2": 50.0}
    rows = [common | {"image_id": name} | box for name in ("w50", "w51")]
    rows += [common | {"image_id": name, "reason": "nothing_salient", "sureness": 0.0} for name in ("w52", "w53")]
    write_shards(shop.root / "shop", SALIENT, rows, "image_id", 2)
    options = {"boxes": "salient", "agreement": "ignored", "no_detection": "whole_image", "assignment": "each_alone"}

    def lower_half(**changes):
        crops = read_shards(stage(shop, **options, **changes)).to_pylist()
        return {row["item_id"]: tuple(np.asarray(open_rgb(row["bytes"]), int)[45, 25]) for row in crops}

    plain = lower_half(background="plain")
    assert plain["matched"] == pytest.approx(PLAIN, abs=2) and plain["shoe"] == pytest.approx(PLAIN, abs=2)
    assert plain["unseen"] == pytest.approx((254, 0, 0), abs=2)  # the whole photo keeps its background
    assert lower_half()["matched"] == pytest.approx((254, 0, 0), abs=2)


def label(item, image, agrees):
    return {
        "item_id": item, "image_id": image, "photo": image, "source": "shop", "split": "train", "group_id": image, "cluster": image,
        "instance": None, "colorway": None, "view": None, "superclass": agrees[0], "agrees": agrees, **dict.fromkeys(HEADS),
    }  # fmt: skip


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = [
        {"image_id": f"w{width}", "source": "shop", "split": "train", "group_id": "g", "cluster": "c", "width": width, "height": 50,
         "sha256": "", "bytes": encode_jpeg(Image.new("RGB", (width, 50), "red"))}
        for width in (50, 51, 52, 53)
    ]  # fmt: skip
    write_shards(tmp_path / "ingested", IMAGES, images, "image_id", 2)
    labels = [
        label("matched", "w50", ["top"]),
        label("mismatched", "w51", ["top"]),
        label("shoe", "w51", ["footwear"]),
        label("unseen", "w52", ["top"]),
        label("tiny", "w53", ["top"]),
    ]
    write_rows(tmp_path / "labels/labels.parquet", LABELS, labels)
    detectors = {name: Known(name) for name in NAMES}
    monkeypatch.setattr(match, "load_detectors", lambda folder, names: {name: detectors[name] for name in names})
    return SimpleNamespace(root=tmp_path, detectors=detectors)


def stage(shop, **changes):
    options = {
        "boxes": "detectors", "agreement": "required", "assignment": "one_box_one_item", "confidence": 0.3,
        "several": "largest", "no_detection": "reject", "padding": 0.0, "shape": "box", "background": "photo",
        "max_side": 256, "min_side": 16, "jpeg_quality": 92, "batch": 3, "shards": 2,
    } | changes  # fmt: skip
    args = Namespace(
        source="shop",
        labels=shop.root / "labels",
        ingested=shop.root / "ingested",
        boxes=shop.root,
        out=shop.root / "crops",
    )
    match.main(args, SimpleNamespace(crops=CropParams.model_validate(options), detectors=["clothes", "shoes"], nms=NMS))
    return args.out


def outcomes(out):
    return {row["item_id"]: row["outcome"] for row in read_table(out / "outcomes.parquet", OUTCOMES).to_pylist()}


def test_every_item_has_an_outcome_and_every_reject_its_reason(shop):
    out = stage(shop)
    assert outcomes(out) == {
        "matched": "matched",
        "mismatched": "mismatch",
        "shoe": "matched",
        "unseen": "no_detection",
        "tiny": "unusable_crop",
    }
    account = json.loads((out / "account.json").read_text())
    assert account["crops"] == {
        "rows_in": 5, "rows_kept": 2, "rejected": {"mismatch": 1, "no_detection": 1, "unusable_crop": 1}, "repaired": {},
    }  # fmt: skip


def test_every_detection_is_on_record_by_image(shop):
    rows = read_table(stage(shop) / "detections.parquet", DETECTIONS).to_pylist()
    kept = {(row["image_id"], row["detector"], row["superclass"], row["confidence"]) for row in rows}
    wanted = {
        (f"w{width}", name, superclass, confidence)
        for name, images in FOUND.items()
        for width in (50, 51, 52, 53)
        for superclass, confidence, _ in images.get(width, [])
        if name == "clothes" or width == 51  # no other image has an item that shoes can be
    }
    assert kept == wanted and len(rows) == len(wanted) > 3
    assert [row["image_id"] for row in rows] == sorted(row["image_id"] for row in rows)


def test_crops_carry_their_labels_and_the_detection(shop):
    table = read_shards(stage(shop))
    assert table.schema.equals(CROPS)
    rows = {row["item_id"]: row for row in table.to_pylist()}
    assert (rows["matched"]["crop_id"], rows["matched"]["detected_class"], rows["matched"]["confidence"]) == (
        "shop:matched",
        "top",
        0.9,
    )
    assert (rows["matched"]["width"], rows["matched"]["height"]) == (40, 40) == open_rgb(rows["matched"]["bytes"]).size
    assert rows["shoe"]["detector"] == "shoes"


def test_item_is_matched_with_its_own_detectors_only(shop):
    """w51 was searched for a shoe as well; that the shoe was seen does not make the top's reject another one."""
    out = stage(shop)
    (row,) = [row for row in read_table(out / "rejects.parquet").to_pylist() if row["key"] == "mismatched"]
    assert row["detail"] == "expected top, detected bottom 0.80"


def test_detectors_run_only_on_images_that_need_them(shop):
    stage(shop)
    assert sorted(shop.detectors["shoes"].asked) == [51]
    assert sorted(shop.detectors["clothes"].asked) == [50, 51, 52, 53]


def test_whole_images_stand_in_where_params_say_so(shop):
    out = stage(shop, no_detection="whole_image")
    assert outcomes(out)["unseen"] == "whole_image"
    row = {row["item_id"]: row for row in read_shards(out).to_pylist()}["unseen"]
    assert (row["detected_class"], row["confidence"], row["width"], row["height"]) == ("none", None, 52, 50)


def size_of(path):
    return Image.open(path).size if path.is_file() else None


def test_each_kind_of_outcome_has_a_sheet_of_its_items(shop):
    """A row of four places of 220 pixels, and three lines of 13 pixels below."""
    out = stage(shop)
    assert {path.name for path in out.glob("*.jpg")} == {"matched.jpg", "mismatch.jpg"}
    assert size_of(out / "matched.jpg") == size_of(out / "mismatch.jpg") == (880, 259)
    FOUND["clothes"][52] = [("top", 0.9, (5, 5, 45, 45)), ("top", 0.8, (10, 5, 50, 45))]
    out = stage(shop)
    assert size_of(out / "several.jpg") == (880, 259)
    del FOUND["clothes"][52]


def test_sheet_shows_the_box_that_was_taken_thick_and_the_others_thin(shop):
    write_rows(shop.root / "labels/labels.parquet", LABELS, [label("unseen", "w52", ["top"])])
    FOUND["clothes"][52] = [("top", 0.9, (2, 2, 20, 48)), ("bottom", 0.8, (30, 2, 48, 48))]
    sheet = np.asarray(Image.open(stage(shop) / "matched.jpg").convert("RGB")).astype(int)
    del FOUND["clothes"][52]
    near = {kind: np.abs(sheet - COLORS[kind]).sum(axis=2) < 120 for kind in ("top", "bottom")}
    # Rows between the texts above and the lower edges: the left and the right edge of each box.
    widths = {kind: found[110:180].sum() / 70 / 2 for kind, found in near.items()}
    assert widths == {"top": pytest.approx(4, abs=1), "bottom": pytest.approx(1, abs=0.7)}


def test_upstreams_own_box_stands_in_where_params_say_so_and_the_whole_image_where_there_is_none(shop):
    """The item that is a box has it, a lone box of an image is its item's, and of two boxes nobody knows whose."""
    rows = [
        box_row("unseen", "w52", "shirt", [10, 5, 40, 45]),
        box_row("other", "w52", "hat", [0, 0, 9, 9]),
        box_row("w51:1", "w51", "shirt", [1, 1, 31, 41]),
        box_row("w53:1", "w53", "shirt", [0, 0, 20, 20]),
        box_row("w53:2", "w53", "shirt", [20, 20, 50, 50]),
    ]
    write_rows(shop.root / "ingested/objects.parquet", OBJECTS, rows)
    write_rows(
        shop.root / "labels/labels.parquet",
        LABELS,
        [label(*one) for one in (("matched", "w50", ["top"]), ("mismatched", "w51", ["top"]), ("unseen", "w52", ["top"]),
                                 ("twice", "w53", ["headwear"]))],
    )  # fmt: skip
    out = stage(shop, no_detection="own_box")
    found = {row["item_id"]: row for row in read_table(out / "outcomes.parquet", OUTCOMES).to_pylist()}
    corners = {name: tuple(found[name][corner] for corner in ("x1", "y1", "x2", "y2")) for name in found}
    assert (found["unseen"]["outcome"], found["unseen"]["detector"], corners["unseen"]) == (
        "matched", "annotated", (10, 5, 40, 45)
    )  # fmt: skip
    assert corners["mismatched"] == (1, 1, 31, 41)
    assert found["matched"]["detector"] == "clothes"  # a detection that agrees comes first
    assert found["twice"]["outcome"] == "whole_image"
    crops = {row["item_id"]: row for row in read_shards(out).to_pylist()}
    assert (crops["unseen"]["width"], crops["unseen"]["height"], crops["unseen"]["confidence"]) == (30, 40, None)


def test_source_of_which_nothing_matches_is_one_message(shop):
    write_rows(shop.root / "labels/labels.parquet", LABELS, [label("unseen", "w52", ["top"])])
    with pytest.raises(StageError, match=r"none of 1 items got a box .*1 no_detection.*Lower crops.confidence"):
        stage(shop)


def test_items_of_one_photo_stored_under_two_names_share_its_boxes_out(shop):
    """DeepFashion stores a photo once for each type that it shows; each file alone would find the same sure box."""
    FOUND["clothes"][54] = [("top", 0.9, (5, 5, 45, 45)), ("bottom", 0.4, (5, 20, 45, 50))]
    images = [
        {"image_id": name, "source": "shop", "split": "train", "group_id": "g", "cluster": "c", "width": 54, "height": 50,
         "sha256": "", "bytes": encode_jpeg(Image.new("RGB", (54, 50), "red"))} for name in ("as-shirt", "as-dress")
    ]  # fmt: skip
    write_shards(shop.root / "ingested", IMAGES, images, "image_id", 2)
    labels = [label("shirt", "as-shirt", ["top"]), label("dress", "as-dress", ["bottom", "top"])]
    write_rows(shop.root / "labels/labels.parquet", LABELS, [row | {"photo": "shot"} for row in labels])
    found = {}
    for assignment in ("each_alone", "one_box_one_item"):
        rows = read_table(stage(shop, assignment=assignment) / "outcomes.parquet").to_pylist()
        found[assignment] = {row["item_id"]: row["detected_class"] for row in rows}
    assert found["each_alone"] == {"shirt": "top", "dress": "top"}
    assert found["one_box_one_item"] == {"shirt": "top", "dress": "bottom"}
    del FOUND["clothes"][54]
