"""From a photo to its garments: what the detectors are asked, which boxes are one garment, what cannot be read."""

import numpy as np
import pytest
from PIL import Image
from small_wardrobe import CROPS, NMS

from stages.app.garments import find_garments, garment_at, read_photo, salient_share
from stages.contracts.boxes import PLAIN
from stages.contracts.images import open_rgb
from stages.core.errors import StageError
from stages.networks.detector.params import NmsParams


def test_photo_is_searched_as_params_say(tmp_path):
    """With the same suppression as the crops that the wardrobe's encoder has learned from."""
    nms = NmsParams(iou=0.65, per_class=False)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "look.png")

    class Known:
        def predict(self, images, *asked):
            assert asked == (CROPS.confidence, nms)
            return [[{"superclass": "top", "confidence": 0.9, "x1": 5.0, "y1": 5.0, "x2": 45.0, "y2": 65.0}]]

    (found,) = find_garments(tmp_path / "look.png", [Known()], CROPS, nms)
    assert (found.superclass, found.box) == ("top", (5, 5, 45, 65))


def test_garment_that_is_seen_as_two_classes_is_listed_once(tmp_path):
    """Boxes of one detector overlap where their classes differ, those of two detectors as they will."""
    nms = NmsParams(iou=0.6, per_class=True)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "look.png")

    class Known:
        def __init__(self, *boxes):
            self.boxes = boxes

        def predict(self, images, *asked):
            corners = ("x1", "y1", "x2", "y2")
            return [[{"superclass": name, "confidence": sure, **dict(zip(corners, box, strict=True))}
                     for name, sure, box in self.boxes]]  # fmt: skip

    clothes = Known(("top", 0.5, (0, 0, 40, 45)), ("outwear", 0.9, (0, 0, 40, 50)), ("vest", 0.4, (12, 0, 30, 50)))
    caps = Known(("headwear", 0.6, (0, 0, 40, 48)))
    found = find_garments(tmp_path / "look.png", [clothes, caps], CROPS, nms)
    assert [one.superclass for one in found] == ["outwear", "vest"]  # what is worn below it has .45


def test_photo_of_a_kind_that_is_not_read_says_what_to_do(tmp_path):
    (tmp_path / "look.JXL").write_bytes(b"\x00\x00\x00\x18ftypheic")
    with pytest.raises(StageError, match="look.JXL: a kind of picture that is not read; save it as JPEG or PNG"):
        find_garments(tmp_path / "look.JXL", [], CROPS, NMS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>404</html>", "not an image of a kind that is read"),
        (b"", "not an image of a kind that is read"),
        ("cut off", "image file is truncated"),
    ],
    ids=["a page", "nothing", "cut off"],
)
def test_photo_that_cannot_be_read_is_one_message_that_names_it(tmp_path, data, said):
    path = tmp_path / "look.jpg"
    if isinstance(data, str):
        Image.effect_noise((60, 80), 90).save(path, "JPEG")
        data = path.read_bytes()[:1500]
    path.write_bytes(data)
    with pytest.raises(StageError) as error:
        find_garments(path, [], CROPS, NMS)
    assert str(error.value).startswith(f"{path}: {said}") and "0x" not in str(error.value)


def test_photo_with_more_pixels_than_are_decoded_is_one_message(monkeypatch, tmp_path):
    Image.new("RGB", (60, 80), "red").save(tmp_path / "large.png")
    monkeypatch.setattr("stages.app.garments.MAX_PIXELS", 60 * 80 - 1)
    with pytest.raises(StageError, match="large.png: 60x80, more than 4799 pixels. Save it smaller"):
        find_garments(tmp_path / "large.png", [], CROPS, NMS)


def test_photo_without_a_detection_is_one_garment_as_a_whole(tmp_path):
    Image.new("RGB", (60, 80), "red").save(tmp_path / "look.png")
    (found,) = find_garments(tmp_path / "look.png", [], CROPS, NMS)
    assert (found.superclass, found.confidence, found.box) == ("none", None, None)


def test_box_of_a_person_is_padded_as_a_detection_is(tmp_path):
    Image.new("RGB", (100, 100), "red").save(tmp_path / "look.png")
    image = read_photo((tmp_path / "look.png").read_bytes())
    found = garment_at(image, (20, 20, 60, 60), "top", ["top"], CROPS)
    crop = read_photo(found.crop)
    assert crop.size == (44, 44)  # five percent of 40 on each side
    assert found.box == (20, 20, 60, 60)


def corner(garment):
    """The pixel of a crop near its upper left corner."""
    return np.asarray(open_rgb(garment.crop), int)[3, 3]


def test_box_drawn_where_something_is_salient_gets_a_plain_background():
    image, mask = Image.new("RGB", (100, 100), "red"), np.zeros((10, 10), np.uint8)
    mask[4:8, 4:8] = 255
    given = (["top"], CROPS)
    assert corner(garment_at(image, (10, 10, 90, 90), "top", *given, mask=mask)) == pytest.approx(PLAIN, abs=3)
    nearly_nothing = garment_at(image, (0, 0, 50, 50), "top", *given, mask=mask)  # 4 % of it is salient
    assert corner(nearly_nothing) == pytest.approx((254, 0, 0), abs=3)
    assert corner(garment_at(image, None, "top", *given, mask=mask)) == pytest.approx((254, 0, 0), abs=3)


def test_share_of_a_box_that_is_salient():
    mask = np.zeros((10, 10), np.uint8)
    mask[5:] = 200
    assert salient_share(mask, (0, 0, 200, 100), (200, 100)) == 0.5
    assert salient_share(mask, (0, 60, 40, 90), (200, 100)) == 1
    assert salient_share(mask, (0, 0, 0, 0), (200, 100)) == 0
