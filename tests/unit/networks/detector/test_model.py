"""A detector as files, and what it predicts."""

import json
import re

import numpy as np
import pytest

from stages.core import determinism
from stages.core.errors import StageError
from stages.networks.detector import model
from stages.networks.detector.model import Detector, load_detectors, new_network, save_detector
from stages.networks.detector.params import NmsParams

NAMES = ["top", "bottom", "dress"]
NMS = NmsParams(iou=0.7, per_class=True)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads cost small networks more than they give, and a build machine's cores are shared."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(determinism, "runtime_params", lambda: {"threads": 1, "deterministic": True})
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained nano network for three classes that detects something: its BatchNorms have seen noise, so that
    scores differ from place to place, and its class biases are not those of rare objects.
    """
    import torch

    torch.manual_seed(0)
    network = new_network("yolo11n.yaml", len(NAMES))
    with torch.no_grad():
        for branch in network.model[-1].cv3:
            branch[-1].bias.fill_(-2.0)
            branch[-1].weight.mul_(0.1)  # no score so near to 1 that rounding makes ties
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean of what is seen
        network.train()(torch.rand(4, 3, 96, 96))
        network.eval()
    out = tmp_path_factory.mktemp("models") / "clothes"
    out.mkdir()
    save_detector(network.state_dict(), {"model": "yolo11n.yaml", "superclasses": NAMES, "image_size": 96}, out)
    return out, network


@pytest.fixture(scope="module")
def detector(folder):
    return Detector(folder[0])


def test_saved_weights_are_loaded_again(folder, detector):
    import torch

    saved, loaded = folder[1].state_dict(), detector.network().state_dict()
    assert set(saved) == set(loaded)
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)
    assert (detector.name, detector.names, detector.image_size) == ("clothes", NAMES, 96)


def test_files_hold_no_date_and_no_path(folder):
    weights = (folder[0] / "weights.safetensors").read_bytes()
    header = weights[8 : 8 + int.from_bytes(weights[:8], "little")]
    assert "__metadata__" not in json.loads(header)
    for text in (header, (folder[0] / "detector.json").read_bytes()):
        assert not re.search(rb"/(work|tmp|home|root)/|20\d\d-\d\d", text)
    assert json.loads((folder[0] / "detector.json").read_text()) == {
        "model": "yolo11n.yaml", "superclasses": NAMES, "image_size": 96,
    }  # fmt: skip


def test_same_network_gives_the_same_bytes(folder, tmp_path):
    save_detector(folder[1].state_dict(), {"a": 1}, tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == (folder[0] / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 255, size, dtype=np.uint8) for size in ((300, 120, 3), (64, 200, 3))]


@pytest.fixture(scope="module")
def found(detector, images):
    return detector.predict(images, 0.05, NMS)


@pytest.mark.parametrize("nms", [NMS, NmsParams(iou=0.5, per_class=False)], ids=["per class", "whatever the class"])
def test_detections_are_those_of_ultralytics_own_predictor(detector, images, nms):
    """To the last bit; its predictor wants BGR, and boxes of the image as it was."""
    found = detector.predict(images, 0.05, nms)
    results = detector.yolo().predict(
        [np.ascontiguousarray(image[..., ::-1]) for image in images],
        imgsz=96, conf=0.05, iou=nms.iou, agnostic_nms=not nms.per_class, device="cpu", rect=False, verbose=False, save=False,
    )  # fmt: skip
    for rows, result in zip(found, results, strict=True):
        boxes = result.boxes
        expected = zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.int().tolist(), strict=True)
        assert {
            (*(row[side] for side in ("x1", "y1", "x2", "y2")), row["confidence"], row["superclass"]) for row in rows
        } == {(*corners, score, NAMES[index]) for corners, score, index in expected}


class Fixed:
    """A network that answers the same for every picture: boxes x1, y1, x2, y2 with a score and a class each."""

    def __init__(self, *boxes):
        import torch

        rows = torch.zeros(1, 4 + len(NAMES), len(boxes))
        for number, (x1, y1, x2, y2, score, index) in enumerate(boxes):
            rows[0, :4, number] = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
            rows[0, 4 + index, number] = score
        self.rows = rows

    def __call__(self, inputs):
        return self.rows.expand(len(inputs), -1, -1).clone()


# A dress and, worn under it, a top, with an intersection over union of .72; a second dress, with .9 of the first.
LAYERS = [(0, 0, 50, 90, 0.9, 2), (5, 0, 45, 81, 0.6, 0), (0, 0, 45, 90, 0.5, 2)]


@pytest.mark.parametrize(
    ("iou", "per_class", "left"),
    [
        (0.7, True, ["dress", "top"]),
        (0.6, False, ["dress"]),  # the layer below is taken for a second box of the layer above
        (0.8, False, ["dress", "top"]),
        (0.95, True, ["dress", "top", "dress"]),
        (0.95, False, ["dress", "top", "dress"]),
    ],
)
def test_garment_worn_under_another_stays_where_classes_are_kept_apart(folder, iou, per_class, left):
    detector = Detector(folder[0])
    detector._fused = Fixed(*LAYERS)
    (rows,) = detector.predict([np.zeros((96, 96, 3), np.uint8)], 0.05, NmsParams(iou=iou, per_class=per_class))
    assert [row["superclass"] for row in rows] == left


def test_boxes_are_in_pixels_of_the_image_they_belong_to(found, images):
    assert len(found) == 2
    for rows, image in zip(found, images, strict=True):
        height, width = image.shape[:2]
        assert rows
        for row in rows:
            assert 0 <= row["x1"] <= row["x2"] <= width
            assert 0 <= row["y1"] <= row["y2"] <= height
            assert row["superclass"] in NAMES
            assert 0.05 <= row["confidence"] <= 1
    # The tall image is larger than the network's 96 pixels: its boxes were scaled back.
    assert max(row["y2"] for row in found[0]) > 96


def test_detections_are_sorted_by_confidence(found):
    for rows in found:
        scores = [row["confidence"] for row in rows]
        assert scores == sorted(scores, reverse=True)


def test_prediction_leaves_the_number_of_threads_alone(detector, found, images):
    """Ultralytics' predictor sets cores - 1; another number gives other last bits on another machine."""
    import torch

    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ultralytics.utils.torch_utils.NUM_THREADS", 3)  # what another machine would choose
        detector.predict(images, 0.05, NMS)
    assert torch.get_num_threads() == before


def test_prediction_repeats_alone_and_in_a_batch(detector, found, images):
    again = detector.predict(images, 0.05, NMS)
    assert detector.predict(images, 0.05, NMS) == again
    (alone,) = detector.predict(images[:1], 0.05, NMS)
    for rows in (found[0], alone):
        assert [row["superclass"] for row in rows] == [row["superclass"] for row in again[0]]
        assert [row["x1"] for row in rows] == pytest.approx([row["x1"] for row in again[0]], abs=0.1)


def test_higher_confidence_leaves_a_part(detector, found, images):
    limit = found[0][len(found[0]) // 2]["confidence"]
    (rows, _) = detector.predict(images, limit, NMS)
    assert 0 < len(rows) <= len(found[0])
    assert all(row["confidence"] >= limit for row in rows)


@pytest.mark.parametrize(("architecture", "heads"), [("yolo11-lite0.yaml", 1), ("yolo26-lite0.yaml", 2)])
def test_own_architectures_predict_by_the_head_whose_boxes_are_suppressed(architecture, heads):
    import torch

    network = new_network(architecture, len(NAMES))
    head = network.model[-1]
    assert 1 + hasattr(head, "one2one_cv2") == heads
    fused = network.fuse(verbose=False)
    assert getattr(head, "one2one_cv2", None) is None
    predicted = fused(torch.zeros(1, 3, 64, 64))[0]
    assert predicted.shape == (1, 4 + len(NAMES), 8 * 8 + 4 * 4 + 2 * 2)


def test_missing_detector_is_one_message(tmp_path):
    with pytest.raises(StageError, match="detector.json: no such file.*dvc repro"):
        load_detectors(tmp_path, ["shoes"])


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A detector whose network is one linear layer: what it says of its files costs no YOLO."""
    import torch

    monkeypatch.setattr(model, "new_network", lambda architecture, classes: torch.nn.Linear(2, classes))
    save_detector(
        torch.nn.Linear(2, 3).state_dict(), {"model": "yolo11n.yaml", "superclasses": NAMES, "image_size": 96}, tmp_path
    )
    return tmp_path


def test_weights_of_another_shape_are_one_message(small):
    (small / "detector.json").write_text('{"model": "yolo11n.yaml", "superclasses": ["a", "b"], "image_size": 96}')
    with pytest.raises(StageError, match="weights do not fit yolo11n.yaml"):
        Detector(small).network()


def test_missing_weights_are_one_message(small):
    (small / "weights.safetensors").unlink()
    with pytest.raises(StageError, match="weights do not fit"):
        Detector(small).network()


def test_damaged_weights_are_one_message(small):
    """A half-copied file: safetensors raises an error of its own, which is no OSError."""
    data = (small / "weights.safetensors").read_bytes()
    (small / "weights.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(StageError, match="weights do not fit"):
        Detector(small).network()
