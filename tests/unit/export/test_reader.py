"""The exported reader: each of its steps beside the project's own, and what it says of bad input."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.app.garments import embed, find_garments, inputs
from stages.contracts.boxes import crop_box
from stages.contracts.images import decode as own_decode
from stages.contracts.images import encode_jpeg
from stages.contracts.images import resized as own_resized
from stages.core.params import load_params, section
from stages.crops.params import CropParams
from stages.export import reader, reader_boxes
from stages.networks.classifier import ClassifierEncoder
from stages.networks.detector.model import load_detectors
from stages.networks.detector.params import NmsParams

SIZES = [(64, 96), (97, 41), (300, 120), (128, 128), (256, 256), (1, 500), (640, 480), (33, 200), (3000, 17)]


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("side", [64, 128, 320])
def test_detectors_see_the_pixels_of_ultralytics_letterbox(size, side):
    from ultralytics.data.augment import LetterBox

    pixels = picture(size)
    square, (wide, high, left, top) = reader_boxes.letterbox(pixels, side)
    assert np.array_equal(square, LetterBox(side)(image=pixels))
    rows, columns = np.nonzero((LetterBox(side)(image=np.zeros_like(pixels)) == 0).all(axis=2))
    assert (left, top) == (columns.min(), rows.min())
    assert (round(wide * size[0]), round(high * size[1])) == (np.ptp(columns) + 1, np.ptp(rows) + 1)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("iou", [0.3, 0.6])
def test_suppression_leaves_the_boxes_that_ultralytics_leaves(per_class, iou):
    import torch
    from ultralytics.utils.nms import non_max_suppression

    draw = np.random.default_rng(1)
    predicted = np.concatenate([draw.uniform(20, 100, (2, 400)), draw.uniform(10, 60, (2, 400)), draw.random((3, 400))])
    predicted = predicted.astype(np.float32)
    predicted[4:, 7] = predicted[4:, 8]  # two boxes with equal scores
    found = reader_boxes.suppressed(predicted, 0.4, {"iou": iou, "per_class": per_class})
    (expected,) = non_max_suppression(torch.from_numpy(predicted[None].copy()), 0.4, iou, agnostic=not per_class)
    assert 10 < len(expected) < 300
    assert np.array_equal(found, expected.numpy())


def test_suppression_of_nothing_leaves_no_box():
    assert reader_boxes.suppressed(np.zeros((6, 50), np.float32), 0.4, {"iou": 0.6, "per_class": True}).shape == (0, 6)


@pytest.mark.parametrize("shape", ["box", "square"])
@pytest.mark.parametrize("max_side", [40, 500])
def test_crops_are_those_of_the_project(shape, max_side):
    image, draw = Image.fromarray(picture((90, 130))), np.random.default_rng(2)
    settings = {"padding": 0.05, "shape": shape, "max_side": max_side, "min_side": 12}
    square = {key: value for key, value in settings.items() if key != "shape"} | {"square": shape == "square"}
    dropped = 0
    for box in [None, *draw.uniform(0, 90, (60, 2, 2))]:
        corners = None if box is None else (*box.min(axis=0), *box.max(axis=0))
        found, expected = reader_boxes.crop_of(image, corners, settings), crop_box(image, corners, **square)
        assert (found is None) == (expected is None)
        assert found is None or np.array_equal(found, expected)
        dropped += found is None
    assert 0 < dropped < 40


@pytest.mark.parametrize("size", [(60, 90), (500, 333), (1200, 40), (700, 900), (7, 300)], ids=str)
@pytest.mark.parametrize("fit", ["pad", "cover", "stretch"])
@pytest.mark.parametrize("goal", [(64, 64), (160, 160), (64, 96)], ids=str)
def test_crops_are_resized_as_in_training(size, fit, goal):
    data = encode_jpeg(Image.fromarray(picture(size)))
    assert np.array_equal(reader.resized(io.BytesIO(data), *goal, fit), own_resized(data, *goal, fit))


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(picture((30, 20))), "JPEG", exif=exif)


RGB = Image.fromarray(picture((30, 20)))
CASES = {
    **{f"orientation {number}": turned(number) for number in range(10)},
    "transparent PNG": saved(Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 30, 4), np.uint8)), "PNG"),
    "transparent gray": saved(Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 30, 2), np.uint8)), "PNG"),
    "palette": saved(RGB.quantize(16), "GIF", transparency=3),
    "gray": saved(RGB.convert("L"), "JPEG"),
    "16-bit gray": saved(Image.fromarray(picture((30, 20))[..., 0].astype(np.uint16) * 257), "PNG"),
    "CMYK": saved(RGB.convert("CMYK"), "JPEG"),
    "1 bit": saved(RGB.convert("1"), "PNG"),
    **{kind: saved(RGB, kind) for kind in ("WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")},
}


@pytest.mark.parametrize("name", CASES)
def test_photos_are_decoded_as_by_the_project(name):
    assert np.array_equal(reader.decode(CASES[name]), own_decode(CASES[name])[0])


def test_photo_of_a_phone_is_read_where_its_package_is(monkeypatch):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    data = saved(RGB, "HEIF", quality=-1)
    assert np.array_equal(reader.decode(data), own_decode(data)[0])
    monkeypatch.delitem(Image.OPEN, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # not installed
    with pytest.raises(reader.ReaderError, match="HEIC: pip install pillow-heif"):
        reader.decode(data)


def test_nearest_vectors_come_first_by_angle_or_by_distance():
    gallery = np.array([[0, 2], [3, 3], [1, 0]], np.float32)
    places, scores = reader.match(np.array([[5, 0]], np.float32), gallery, top=2)
    assert places.tolist() == [[2, 1]]
    assert scores[0] == pytest.approx([1, 0.5**0.5])
    places, scores = reader.match(np.array([5, 0], np.float32), gallery, top=9, metric="euclidean")
    assert places.tolist() == [[1, 2, 0]]  # sqrt(4 + 9), 4, sqrt(25 + 4)
    assert scores[0] == pytest.approx([-(13**0.5), -4, -(29**0.5)])


def test_equally_near_vectors_keep_their_order():
    places, _ = reader.match(np.ones((1, 2), np.float32), np.ones((4, 2), np.float32), top=3)
    assert places.tolist() == [[0, 1, 2]]


def test_reader_finds_what_match_finds(exported, project, photos, monkeypatch):
    """Small untrained networks; the trained ones are in tests/pipeline/test_export.py."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    content = load_params()
    params, nms = section(CropParams, "crops", content), section(NmsParams, "nms", content)
    detectors = list(load_detectors(Path("models/mine/detectors"), content["detectors"]).values())
    encoder = ClassifierEncoder(Path("models/mine/encoders/classifier"))
    exported_reader, several, whole = reader.Reader(exported), 0, 0
    for path in photos:
        own, found = find_garments(path, detectors, params, nms), exported_reader.read(path)
        assert [(one.superclass, one.box) for one in found] == [(one.superclass, one.box) for one in own]
        vectors, attributes = embed(own, encoder), encoder.attributes(*inputs(own, encoder))
        for garment, expected, vector, known in zip(found, own, vectors, attributes, strict=True):
            assert garment.confidence == pytest.approx(expected.confidence, abs=1e-4)
            assert garment.vector @ vector > 0.9999
            assert {head: one.name for head, one in garment.attributes.items()} == {
                head: name for head, (name, _) in known.items()
            }
            assert garment.attributes["color"].confidence == pytest.approx(known["color"][1], abs=1e-4)
        several, whole = several + (len(own) > 1), whole + (own[0].box is None)
    assert several > 1, "the photos test too little"
    assert exported_reader.read(photos[0].read_bytes())[0].box == exported_reader.read(photos[0])[0].box


def test_photo_without_a_detection_is_one_garment(exported, photos):
    own = reader.Reader(exported)
    own.pipeline["confidence"] = 1.0
    (garment,) = own.read(photos[0])
    assert (garment.superclass, garment.confidence, garment.box) == ("none", None, None)
    assert np.linalg.norm(garment.vector) == pytest.approx(1)


def test_confidence_is_divided_by_the_temperature_of_its_head(exported, photos):
    plain, tempered = reader.Reader(exported), reader.Reader(exported)
    assert plain.pipeline["classifier"]["temperatures"] == {"type": 2.0, "color": 1.0}
    plain.pipeline["classifier"]["temperatures"]["type"] = 1.0
    sharp, soft = plain.read(photos[0])[0].attributes, tempered.read(photos[0])[0].attributes
    assert sharp["color"] == soft["color"]
    assert sharp["type"].name == soft["type"].name
    assert 1 / 3 < soft["type"].confidence < sharp["type"].confidence


def test_attribute_below_the_threshold_is_not_sure(exported, photos):
    own = reader.Reader(exported)
    own.pipeline["unsure_below"] = 0
    sure = own.read(photos[0])[0].attributes["type"]
    own.pipeline["unsure_below"] = sure.confidence + 1e-6
    assert sure.sure and not own.read(photos[0])[0].attributes["type"].sure


def run(folder, *arguments):
    """The command, as a person runs it, without this project on its path."""
    command = [sys.executable, "-B", "-E", "-s", str(folder / "reader.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_command_prints_every_garment_and_names_what_it_cannot_read(exported, photos, tmp_path):
    broken, tiny = tmp_path / "broken.jpg", tmp_path / "tiny.png"
    broken.write_bytes(photos[0].read_bytes()[:300])
    (tmp_path / "notes.jpg").write_text("no image")
    Image.new("RGB", (8, 2)).save(tiny)
    unread = [broken, tmp_path / "notes.jpg", tmp_path / "gone.jpg", tiny]
    done = run(exported, photos[1], *unread, photos[2])
    assert done.returncode == 2
    errors = done.stderr.splitlines()
    assert len(errors) == 4 and all(
        line.startswith(f"ERROR {path}: ") for line, path in zip(errors, unread, strict=True)
    )
    assert "a damaged image (OSError: " in errors[0]
    assert "not an image of a kind that is read. Save it as JPEG or PNG." in errors[1]
    assert errors[2].endswith("No such file or directory.")
    assert errors[3].endswith("8x2 pixels are too few to see a garment in.")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["photo"] for row in rows} == {str(photos[1]), str(photos[2])}
    assert set(rows[0]) == {"photo", "superclass", "confidence", "box", "attributes"}
    assert set(rows[0]["attributes"]["type"]) == {"name", "confidence", "sure"}


def test_command_prints_vectors_when_asked(exported, photos):
    done = run(exported, photos[0], "--vectors")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout.splitlines()[0])["vector"]) == 16


@pytest.fixture
def copy(exported, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pipeline.json", None, "pipeline.json: No such file or directory. Copy the whole exported folder."),
        ("pipeline.json", b"{", "pipeline.json: no JSON"),
        ("classifier.onnx", None, "classifier.onnx: No such file or directory. Copy the whole exported folder."),
        (
            "detector_more.onnx",
            b"x",
            "detector_more.onnx: not the file that pipeline.json states. Copy the folder again.",
        ),
    ],
)
def test_folder_that_is_not_whole_is_one_message(copy, photos, name, content, message):
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    done = run(copy, photos[0], photos[1])
    assert done.returncode == 2
    assert done.stderr.startswith("ERROR ") and message in done.stderr and done.stderr.count("\n") == 1
