"""Garments as salient regions: classes by a made-up classifier, and pairs of shoes."""

import numpy as np
import pytest
from PIL import Image
from small_wardrobe import CROPS

from stages.app import salient_boxes
from stages.app.salient_boxes import SalientBoxes, box_detection, classified, with_pairs
from stages.contracts.boxes import PLAIN
from stages.contracts.images import open_rgb
from stages.salient import network

SIZE = (200, 100)
RED, BLUE = (0, 0, 60, 80), (120, 10, 180, 90)


class ByColor:
    """Takes red crops for tops and blue ones for bottoms."""

    def superclass_probabilities(self, crops):
        colors = np.array([np.asarray(open_rgb(crop), float).mean((0, 1)) for crop in crops])
        red, blue = colors[:, 0], colors[:, 2]
        return {"top": red / (red + blue), "bottom": blue / (red + blue)}


@pytest.fixture
def photo():
    image = Image.new("RGB", SIZE, "white")
    image.paste("red", RED)
    image.paste("blue", BLUE)
    return image


def found(rows):
    return [(row["superclass"], tuple(row[side] for side in ("x1", "y1", "x2", "y2"))) for row in rows]


def test_box_gets_the_most_probable_superclass_of_its_crop(photo):
    rows = classified(photo, [BLUE, RED, (0, 0, 3, 3)], ByColor(), CROPS)
    assert found(rows) == [("bottom", BLUE), ("top", RED)]  # the last one is too small for a crop
    assert all(row["confidence"] > 0.7 for row in rows)
    assert classified(photo, [], ByColor(), CROPS) == []


@pytest.fixture
def mask(monkeypatch):
    """The mask that U²-Net-p is said to give: of both garments."""
    mask = np.zeros((100, 200), np.uint8)
    for x1, y1, x2, y2 in (RED, BLUE):
        mask[y1:y2, x1:x2] = 255
    monkeypatch.setattr(network, "load_network", lambda: "network")
    monkeypatch.setattr(network, "predict_masks", lambda given, pictures: [mask])
    return mask


def test_regions_of_the_mask_are_the_garments(photo, mask):
    rows, used = SalientBoxes(CROPS).detect(photo, ByColor())
    assert sorted(found(rows)) == [("bottom", BLUE), ("top", RED)] and used is None
    unsure = CROPS.model_copy(update={"confidence": 0.999})
    assert SalientBoxes(unsure).detect(photo, ByColor()) == ([], None)


def test_mask_is_used_for_crops_with_a_plain_background(photo, mask):
    plain = CROPS.model_copy(update={"background": "plain"})
    seen = []

    class Seeing(ByColor):
        def superclass_probabilities(self, crops):
            seen.extend(np.asarray(open_rgb(crop))[-2, 2] for crop in crops)
            return super().superclass_probabilities(crops)

    mask[60:80, :60] = 0  # the lower end of the red garment
    rows, used = SalientBoxes(plain).detect(photo, Seeing())
    assert sorted(found(rows)) == [("bottom", BLUE), ("top", (0, 0, 60, 60))]
    assert used is mask is SalientBoxes(plain).mask_of_crops(photo)
    assert SalientBoxes(CROPS).mask_of_crops(photo) is None
    # With its padding the crop reaches below the garment, where it is plain.
    assert sorted(int(abs(pixel.astype(int) - PLAIN).max() < 6) for pixel in seen) == [1, 1]


@pytest.mark.parametrize(
    ("second", "superclass", "boxes"),
    [
        ((45, 0, 85, 40), "footwear", 1),  # 5 pixels apart
        ((85, 0, 125, 40), "footwear", 2),  # 45 pixels apart, more than a shoe of 40
        ((45, 0, 60, 15), "footwear", 2),  # too small to be the other shoe
        ((45, 0, 85, 40), "top", 2),
    ],
)
def test_two_shoes_side_by_side_are_one_garment(second, superclass, boxes):
    rows = [box_detection((0, 0, 40, 40), superclass, 0.8), box_detection(second, superclass, 0.6)]
    result = with_pairs(rows)
    assert len(result) == boxes
    if boxes == 1:
        assert found(result) == [("footwear", (0, 0, 85, 40))]
        assert result[0]["confidence"] == pytest.approx(0.7)


def test_third_shoe_is_no_part_of_a_pair():
    shoes = [box_detection((at, 0, at + 40, 40), "footwear", 0.8) for at in (0, 45, 90)]
    assert found(with_pairs(shoes)) == [("footwear", (0, 0, 85, 40)), ("footwear", (90, 0, 130, 40))]


def test_shoe_makes_no_pair_with_a_hat():
    rows = [box_detection((0, 0, 40, 40), "footwear", 0.8), box_detection((45, 0, 85, 40), "headwear", 0.8)]
    assert salient_boxes.with_pairs(rows) == rows
