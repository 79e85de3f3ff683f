"""A tiny detector's data: colored rectangles on gray, one class for each color, as ingest and boxes leave them."""

import io
import random

import pytest
import yaml
from five_boxes import ingested
from PIL import Image, ImageDraw
from places import ROOT

from stages.contracts.tables import BOXES, IMAGES, write_rows, write_shards
from stages.detection.params import DetectorParams

__all__ = ["ingested"]
CLASSES = ["top", "bottom"]
SIDE = 64
# Strides 8, 16 and 32 as every YOLO11, and next to nothing between them.
TINY = """
nc: 2
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
head:
  - [[2, 3, 4], 1, Detect, [nc]]
"""
TWO_HEADS = "end2end: True\nreg_max: 1" + TINY  # as of YOLO26
AUGMENT = {
    "mosaic": 0.5, "hsv_h": 0.015, "hsv_s": 0.5, "hsv_v": 0.4, "fliplr": 0.5, "degrees": 5.0, "translate": 0.1,
    "scale": 0.3, "paste": 0.0,
}  # fmt: skip


def picture(draw):
    """JPEG bytes and one box as shares: center and size."""
    image = Image.new("RGB", (SIDE, SIDE), (draw.randint(100, 160),) * 3)
    width, height, number = draw.randint(20, 40), draw.randint(20, 40), draw.randrange(2)
    x, y = draw.randint(0, SIDE - width), draw.randint(0, SIDE - height)
    ImageDraw.Draw(image).rectangle([x, y, x + width - 1, y + height - 1], fill=("red", "blue")[number])
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    box = {"cx": (x + width / 2) / SIDE, "cy": (y + height / 2) / SIDE, "w": width / SIDE, "h": height / SIDE}
    return stream.getvalue(), {"superclass": CLASSES[number], "class_id": number, **box}


@pytest.fixture(scope="session")
def draw_rectangles(tmp_path_factory):
    """Makes a folder with ingested/, boxes/tiny/ and tiny.yaml, with so many pictures of each split."""

    def make(empty=(), **counts):
        return write_rectangles(tmp_path_factory.mktemp("rectangles"), counts, empty)

    return make


@pytest.fixture(scope="session")
def rectangles(draw_rectangles):
    """The folder with 10 training, 4 validation and 4 test pictures; the first training and test one show nothing."""
    return draw_rectangles(train=10, val=4, test=4, empty=("train00", "test00"))


def write_rectangles(root, counts, empty):
    draw, images, boxes = random.Random(0), [], []
    for split, count in counts.items():
        for number in range(count):
            name = f"{split}{number:02}"
            content, box = picture(draw)
            if name in empty:
                content = _jpeg(Image.new("RGB", (SIDE, SIDE), "gray"))
            else:
                boxes.append({"object_id": f"{name}:1", "image_id": name, "split": split, **box})
            images.append({"image_id": name, "source": "s", "split": split, "group_id": name, "cluster": name,
                           "width": SIDE, "height": SIDE, "sha256": "", "bytes": content})  # fmt: skip
    write_shards(root / "ingested", IMAGES, images, "image_id", 2)
    (root / "boxes/tiny").mkdir(parents=True)
    write_rows(root / "boxes/tiny/boxes.parquet", BOXES, sorted(boxes, key=lambda row: row["object_id"]))
    (root / "tiny.yaml").write_text(TINY)
    (root / "two_heads.yaml").write_text(TWO_HEADS)
    return root


def _jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def tiny(rectangles):
    """Section ``detector.<name>`` of a training of seconds, with changes."""
    demo = yaml.safe_load((ROOT / "params.yaml").read_text())["detector"]["deepfashion2"]
    small = {
        "superclasses": CLASSES, "image_size": SIDE, "epochs": 4, "patience": 0,
        "batch": 4, "nominal_batch": 8, "close_mosaic": 2, "freeze": 0, "augment": AUGMENT, "seed": 0,
        "devices": None, "amp": True, "compile": False, "workers": 0,
    }  # fmt: skip

    def make(**changes):
        model = {"model": str(rectangles / changes.pop("model", "tiny.yaml"))}
        augment = {"augment": {**AUGMENT, **changes.pop("augment", {})}}
        return DetectorParams.model_validate({**demo, **small, **model, **augment, **changes})

    return make
