"""The stage that draws boxes, with a network that sees what each photo's id says."""

import importlib.util
import io
import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
from five_boxes import params as detector_params
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import (
    HEADS,
    IMAGES,
    LABELS,
    OBJECTS,
    SALIENT,
    read_shards,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.errors import StageError
from stages.detection.boxes import box_table
from stages.ingest.reading import box_row
from stages.salient import salient

SIDE = 320
# Gray of a photo -> what the network sees in it: rectangles in 320ths of the sides.
SEEN = {
    10: [(80, 40, 240, 280)],
    20: [],
    30: [(10, 10, 100, 300), (200, 10, 300, 300)],
}
WIDTH, HEIGHT = 100, 200
BOX = (25, 25, 75, 175)  # of gray 10, in pixels of the photo


def predict_masks(network, pictures):
    masks = np.zeros((len(pictures), SIDE, SIDE), np.uint8)
    for mask, content in zip(masks, pictures, strict=True):
        gray = int(np.asarray(Image.open(io.BytesIO(content)))[0, 0, 0])
        network.append(gray)
        for x1, y1, x2, y2 in SEEN[min(SEEN, key=lambda known: abs(known - gray))]:
            mask[y1:y2, x1:x2] = 255
    return masks


# image_id: split, gray, annotated box, type (None: no label).
PHOTOS = {
    "annotated": ("train", 10, (1, 2, 50, 60), "Shirt"),
    "empty": ("train", 20, None, "Shirt"),
    "sure": ("train", 10, None, "Shirt"),
    "two": ("train", 30, None, "Shirt"),
    "unlabeled": ("train", 10, None, None),
    "val_free": ("val", 10, None, "Pants"),
    "val_free2": ("val", 10, None, "Pants"),
    "test_annotated": ("test", 10, (20, 20, 80, 180), "Pants"),
    "test_free": ("test", 10, None, "Pants"),
}
SUPERCLASS = {"Shirt": "top", "Pants": "bottom"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the stage on PHOTOS or some of them; the folder it writes, and the gray of every photo it looked at."""

    def stage(which="without_box", photos=PHOTOS, class_column="superclass", boxes="detectors"):
        looked = []
        monkeypatch.setattr(salient, "load_network", lambda: looked)
        monkeypatch.setattr(salient, "predict_masks", predict_masks)
        monkeypatch.setenv("SEAMLINE_WORKERS", "1")  # another process would have the real network
        images, objects, labels = [], [], []
        for name, (split, gray, box, kind) in photos.items():
            content = encode_jpeg(Image.new("RGB", (WIDTH, HEIGHT), (gray,) * 3))
            images.append({"image_id": name, "source": "shop", "split": split, "group_id": name, "cluster": name,
                           "width": WIDTH, "height": HEIGHT, "sha256": "", "bytes": content})  # fmt: skip
            objects += [box_row(f"{name}:1", name, "top", box)] if box else []
            if kind:
                labels.append(dict.fromkeys(HEADS) | {
                    "item_id": name, "image_id": name, "photo": name, "source": "shop", "split": split, "group_id": name,
                    "cluster": name, "superclass": SUPERCLASS[kind], "agrees": [SUPERCLASS[kind]], "type": kind,
                })  # fmt: skip
        write_shards(tmp_path / "ingested", IMAGES, images, "image_id", 2)
        write_rows(tmp_path / "ingested/objects.parquet", OBJECTS, objects)
        write_rows(tmp_path / "labels/labels.parquet", LABELS, labels)
        args = Namespace(
            source="shop", ingested=tmp_path / "ingested", labels=tmp_path / "labels", out=tmp_path / "out"
        )
        crops = SimpleNamespace(boxes=boxes)
        params = SimpleNamespace(salient=which, detector=detector_params(class_column=class_column), crops=crops)
        salient.main(args, params)
        return args.out, looked

    return stage


def drawn(out):
    """object_id -> class and corners of the boxes that the network drew."""
    rows = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    return {
        row["object_id"]: (row["class_name"], row["x1"], row["y1"], row["x2"], row["y2"])
        for row in rows
        if row["object_id"].endswith(":salient")
    }


def test_photos_without_a_box_get_the_sure_ones_and_the_others_keep_theirs(run):
    out, _ = run()
    assert drawn(out) == {
        "sure:salient": ("top", *BOX), "val_free:salient": ("bottom", *BOX), "val_free2:salient": ("bottom", *BOX),
    }  # fmt: skip
    kept = set(read_table(out / "objects.parquet", OBJECTS)["object_id"].to_pylist())
    assert kept - set(drawn(out)) == {"annotated:1", "test_annotated:1"}


def test_split_that_has_annotated_boxes_is_scored_on_these_alone(run):
    out, _ = run()
    assert not [name for name in drawn(out) if name.startswith("test")]


def test_every_photo_is_counted(run):
    out, _ = run()
    account = json.loads((out / "account.json").read_text())
    assert account["salient"] == {
        "rows_in": 5, "rows_kept": 3, "rejected": {"nothing_salient": 1, "several_salient": 1}, "repaired": {},
    }  # fmt: skip
    assert account["notes"]["photos for which the network is not asked"] == {
        "annotated": 1, "no label of a garment": 1, "test has annotated boxes: annotated": 1,
        "test has annotated boxes: no box, not scored": 1,
    }  # fmt: skip
    assert sorted(read_table(out / "rejects.parquet")["key"].to_pylist()) == ["empty", "two"]


def test_all_replaces_the_annotated_boxes_of_training_and_not_those_of_the_test(run):
    out, _ = run("all")
    assert set(drawn(out)) == {"annotated:salient", "sure:salient", "val_free:salient", "val_free2:salient"}
    kept = set(read_table(out / "objects.parquet", OBJECTS)["object_id"].to_pylist())
    assert kept - set(drawn(out)) == {"test_annotated:1"}


def test_unsure_photo_keeps_its_annotated_box(run):
    photos = PHOTOS | {"annotated": ("train", 20, (1, 2, 50, 60), "Shirt")}
    out, _ = run("all", photos)
    assert "annotated:1" in read_table(out / "objects.parquet", OBJECTS)["object_id"].to_pylist()


def test_source_without_any_box_gets_some_in_every_split(run):
    photos = {name: (split, 10, None, kind) for name, (split, _, _, kind) in PHOTOS.items()}
    out, _ = run("all", photos)
    assert {name.partition(":")[0] for name in drawn(out)} == set(PHOTOS) - {"unlabeled"}


def test_every_photo_has_a_row_and_only_those_that_were_looked_at_a_mask(run):
    out, looked = run()
    rows = {row["image_id"]: row for row in read_shards(out).to_pylist()}
    assert set(rows) == set(PHOTOS)
    assert read_shards(out).schema.equals(SALIENT)
    # The annotated test photo is looked at, too: its box is compared with the annotated one.
    assert {name for name, row in rows.items() if row["mask"]} == {
        "empty", "sure", "two", "val_free", "val_free2", "test_annotated",
    }  # fmt: skip
    assert len(looked) == 6
    mask = np.frombuffer(rows["sure"]["mask"], np.uint8).reshape(SIDE, SIDE)
    assert np.argwhere(mask)[0].tolist() == [40, 80] and mask.sum() == 255 * 160 * 240
    assert (rows["sure"]["reason"], rows["two"]["reason"]) == (None, "several_salient")


def test_every_photo_of_a_garment_is_looked_at_where_its_box_cuts_the_crop(run):
    out, looked = run(boxes="salient")
    rows = {row["image_id"]: row for row in read_shards(out).to_pylist()}
    assert {name for name, row in rows.items() if row["mask"]} == set(PHOTOS) - {"unlabeled"}
    assert len(looked) == len(PHOTOS) - 1
    assert set(drawn(out)) == {"sure:salient", "val_free:salient", "val_free2:salient"}  # as where no crop is cut


def test_annotated_validation_photo_is_looked_at_because_its_box_is_compared(run):
    out, _ = run(photos=PHOTOS | {"val_free": ("val", 10, (20, 20, 80, 180), "Pants")})
    rows = {row["image_id"]: row for row in read_shards(out).to_pylist()}
    assert rows["val_free"]["mask"] and not rows["val_free2"]["mask"]
    assert not [name for name in drawn(out) if name.startswith("val")]


def test_box_of_a_crop_knows_no_label_and_the_box_that_is_learned_does(run, monkeypatch):
    # Two shoes of similar size: one pair for who knows that they are shoes, several things for who does not.
    monkeypatch.setitem(SUPERCLASS, "Shoes", "footwear")
    photos = {"pair": ("train", 30, None, "Shoes"), "test_annotated": PHOTOS["test_annotated"]}
    out, _ = run(photos=photos)
    rows = {row["image_id"]: row for row in read_shards(out).to_pylist()}
    assert rows["pair"]["reason"] == "several_salient"
    assert drawn(out)["pair:salient"][0] == "footwear"


def test_class_is_the_label_where_the_detectors_table_is_of_labels(run):
    out, _ = run(class_column="label")
    assert drawn(out)["sure:salient"][0] == "Shirt"


def test_stage_boxes_reads_what_this_stage_writes(run):
    from stages.contracts.ledger import Account

    out, _ = run()
    objects = read_table(out / "objects.parquet", OBJECTS).to_pandas()
    images = read_shards(out, ["image_id", "split", "width", "height"]).to_pandas()
    names = {"top": "top", "bottom": "bottom"}
    table = box_table(objects, images, names, {"top": 0, "bottom": 1}, Account("shop"))
    (row,) = table[table["object_id"] == "sure:salient"].to_dict("records")
    assert (row["split"], row["superclass"]) == ("train", "top")
    assert [row[key] for key in ("cx", "cy", "w", "h")] == pytest.approx([0.5, 0.5, 0.5, 0.75])


def test_pictures_show_sure_and_unsure_photos(run):
    out, _ = run()
    assert sorted(path.name for path in out.glob("*.jpg")) == ["nothing_salient.jpg", "several_salient.jpg", "sure.jpg"]


def test_source_on_which_nothing_stands_out_is_one_message(run):
    photos = {"a": ("train", 20, None, "Shirt"), "b": ("test", 20, None, "Shirt")}
    with pytest.raises(StageError, match=r"source shop: no box on any of 2 photos \(shop: 2 salient in, 0 kept"):
        run("all", photos)


def test_same_photos_give_the_same_bytes(run):
    out, _ = run()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    out, _ = run()
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("rembg") is None, reason="U²-Net-p is not installed: make salient")
def test_masks_do_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    rows = [
        {"image_id": name, "source": "shop", "split": "train", "group_id": name, "cluster": name, "width": WIDTH,
         "height": HEIGHT, "sha256": "", "bytes": encode_jpeg(Image.new("RGB", (WIDTH, HEIGHT), color))}
        for name, color in (("a", "red"), ("b", "gray"), ("c", "blue"))
    ]  # fmt: skip
    write_shards(tmp_path, IMAGES, rows, "image_id", 2)
    selection = salient.PhotoSelection("all", dict.fromkeys("abc", ("top", "top")), {}, frozenset())
    masks = []
    for processes in ("1", "2"):
        monkeypatch.setenv("SEAMLINE_WORKERS", processes)
        masks.append({row["image_id"]: mask.tobytes() for row, mask in salient._with_masks(tmp_path, selection)})
    assert masks[0] == masks[1] and set(masks[0]) == set("abc")
