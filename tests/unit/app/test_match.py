"""The command line of ``make match``; what it finds is in tests/pipeline/test_demo.py."""

import os
import sys

import pytest
from PIL import Image

from stages.app.match import find_garments, main, photos_in, read_wardrobe
from stages.core.errors import StageError
from stages.core.params import load_params, section
from stages.crops.params import CropParams
from stages.networks.detector.params import NmsParams

CROPS = section(CropParams, "crops", load_params())
NMS = section(NmsParams, "nms", load_params())


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


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--top", "0"], "argument --top: expected a number above 0, found 0"),
        (["--top", "many"], "argument --top: invalid count value: 'many'"),
        (["--confidence", "2"], "argument --confidence: expected a number from 0 to 1, found 2"),
        (["--confidence", "nan"], "argument --confidence: expected a number from 0 to 1, found nan"),
    ],
)
def test_numbers_out_of_range_are_one_message(monkeypatch, capsys, option, message):
    monkeypatch.setattr(sys, "argv", ["match", "look.jpg", "--wardrobe", ".", *option])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.strip().endswith(message)


@pytest.fixture
def wardrobe(tmp_path):
    """A folder of photos by name; every other kind of file is what real folders hold."""

    def draw(names):
        for seed, name in enumerate(names):
            path = tmp_path / "clothes" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), (seed * 20, 90, 200 - seed * 20)).save(
                path, KINDS.get(path.suffix.lower(), "JPEG")
            )
        return tmp_path / "clothes"

    return draw


KINDS = {".tif": "TIFF", ".gif": "GIF", ".avif": "AVIF", ".png": "PNG"}


def test_every_kind_of_photo_is_searched_and_the_rest_is_said_by_suffix(wardrobe, capsys):
    folder = wardrobe(["a.jpg", "b.jfif", "c.jpe", "d.tif", "e.gif", "f.avif", "g.JPG", "sub/h.png"])
    for name in ("i.JXL", "j.jxl", "notes.pdf", ".DS_Store", "._a.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    assert [path.name for path in photos_in(folder)] == [
        "a.jpg", "b.jfif", "c.jpe", "d.tif", "e.gif", "f.avif", "g.JPG", "h.png",
    ]  # fmt: skip
    assert capsys.readouterr().err.strip() == (
        f"{folder}: 8 photos; left out: 2 .jxl (a kind of picture that is not read; save it as JPEG or PNG), 1 .pdf, "
        "1 links that lead nowhere"
    )


def test_linked_folders_are_searched_and_loops_end(wardrobe, tmp_path):
    folder = wardrobe(["a.jpg"])
    Image.new("RGB", (64, 48)).save(tmp_path / "far.jpg")
    (tmp_path / "disk").mkdir()
    (tmp_path / "far.jpg").rename(tmp_path / "disk" / "far.jpg")
    (folder / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(folder)
    assert [path.name for path in photos_in(folder)] == ["a.jpg", "far.jpg"]


def test_folder_of_photos_that_are_not_read_says_what_to_do(wardrobe, capsys):
    folder = wardrobe(["a.jpg"])
    (folder / "a.jpg").rename(folder / "a.jxl")
    with pytest.raises(StageError, match="no image in it; expected files named"):
        photos_in(folder)
    assert "1 .jxl (a kind of picture that is not read; save it as JPEG or PNG)" in capsys.readouterr().err


def test_photo_of_a_kind_that_is_not_read_says_what_to_do(tmp_path):
    (tmp_path / "look.JXL").write_bytes(b"\x00\x00\x00\x18ftypheic")
    with pytest.raises(StageError, match="look.JXL: a kind of picture that is not read; save it as JPEG or PNG"):
        find_garments(tmp_path / "look.JXL", [], CROPS, NMS)


def test_photo_itself_is_no_match_of_itself(wardrobe, capsys):
    folder = wardrobe(["a.jpg", "b.jpg"])
    (folder / "copy of a.jpg").write_bytes((folder / "a.jpg").read_bytes())
    found = read_wardrobe(folder, folder / "a.jpg", [], CROPS, NMS)
    assert [garment.photo.name for garment in found] == ["b.jpg"]
    said = capsys.readouterr().err
    assert f"lies in the wardrobe itself, as {folder / 'a.jpg'}, {folder / 'copy of a.jpg'}: left out" in said


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


def test_wardrobe_of_the_photo_alone_is_one_message(wardrobe):
    folder = wardrobe(["a.jpg"])
    with pytest.raises(StageError, match="holds no other photo than"):
        read_wardrobe(folder, folder / "a.jpg", [], CROPS, NMS)


def test_photo_whose_name_is_no_text_is_searched_and_can_be_printed(wardrobe, capsys):
    folder = wardrobe(["a.jpg", "b.jpg"])
    (folder / "b.jpg").rename(folder / os.fsdecode(b"caf\xe9.jpg"))
    (folder / os.fsdecode(b"bad\xe9.jpg")).write_bytes(b"")
    found = read_wardrobe(folder, folder / "a.jpg", [], CROPS, NMS)
    assert [garment.photo.name for garment in found] == ["caf\udce9.jpg"]
    assert "bad\\xe9.jpg: not an image of a kind that is read" in capsys.readouterr().err
