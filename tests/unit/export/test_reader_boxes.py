"""The exported reader's boxes of masks, beside scipy's and the project's own."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy import ndimage
from small_classifier import CLASSES
from small_models import write_project
from torch import nn

from stages.app.models import Models
from stages.app.salient_boxes import box_detection
from stages.app.salient_boxes import with_pairs as own_pairs
from stages.core.files import read_json, write_json
from stages.export import export as export_module
from stages.export import reader
from stages.export.reader_boxes import _connected, _opened, mask_input, regions, with_pairs
from stages.salient import mask_boxes, network, weights

SETTINGS = {
    "threshold": mask_boxes.THRESHOLD, "hook": mask_boxes.HOOK, "part": mask_boxes.PART, "least": mask_boxes.LEAST,
    "paired": list(mask_boxes.PAIRED), "several": mask_boxes.SEVERAL,
}  # fmt: skip


def blobs(seed, side=80, smooth=4.0):
    """A mask uint8 [side, side] with some regions of any shape, which are a third of its pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), smooth)
    ranks = noise.ravel().argsort().argsort().reshape(side, side) / noise.size
    return np.round(255 * np.clip(ranks - 1 / 6, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_connected_regions_are_those_of_scipy(seed):
    inside = blobs(seed, smooth=1.5) >= 128
    labels, count = ndimage.label(inside)
    expected = [
        (int((labels[place] == at).sum()), place[1].start, place[0].start, place[1].stop, place[0].stop)
        for at, place in enumerate(ndimage.find_objects(labels), 1)
    ]
    assert count > 3
    assert sorted(_connected(inside)) == sorted(expected)
    assert _connected(np.zeros((4, 4), bool)) == []


@pytest.mark.parametrize("seed", range(3))
def test_opening_is_that_of_scipy(seed):
    inside = blobs(seed, smooth=1.5) >= 128
    opened = ndimage.binary_opening(inside, np.ones((5, 5)))
    assert 0 < opened.sum() < inside.sum()
    assert np.array_equal(_opened(inside, 5), opened)


@pytest.mark.parametrize("seed", range(6))
def test_boxes_of_regions_are_those_of_the_project(seed):
    mask = blobs(seed)
    expected = mask_boxes.region_boxes(mask, 300, 200)
    assert len(expected) > 1
    np.testing.assert_allclose(regions(mask, SETTINGS, 300, 200), expected)
    assert regions(np.zeros((9, 9), np.uint8), SETTINGS, 300, 200) == []


def test_photo_is_stretched_and_normalized_as_by_the_project():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 200, (90, 700, 3), dtype=np.uint8))
    np.testing.assert_allclose(mask_input(image, network.SIDE), network.inputs_of([image]).numpy(), atol=1e-6)
    black = Image.new("RGB", (5, 5))
    np.testing.assert_allclose(mask_input(black, network.SIDE), network.inputs_of([black]).numpy(), atol=1e-6)


@pytest.mark.parametrize("kind", ["footwear", "top"])
def test_pairs_of_shoes_are_those_of_the_project(kind):
    boxes = [(0, 0, 40, 40), (45, 0, 85, 40), (200, 0, 240, 40), (230, 60, 245, 70)]
    own = own_pairs([box_detection(box, kind, 0.8 - at / 10) for at, box in enumerate(boxes)])
    found = with_pairs([(kind, 0.8 - at / 10, list(box)) for at, box in enumerate(boxes)], SETTINGS)
    assert len(found) == (3 if kind == "footwear" else 4)
    for (superclass, confidence, box), row in zip(found, own, strict=True):
        assert superclass == row["superclass"] and confidence == pytest.approx(row["confidence"])
        assert tuple(box) == tuple(row[side] for side in ("x1", "y1", "x2", "y2"))


class Dark(nn.Module):
    """Takes dark pixels for garments: the first channel of the normalized photo."""

    def forward(self, image):
        return torch.sigmoid(-8 * (image[:, :1].float() + 0.5))


@pytest.fixture(params=[pytest.param("photo", marks=pytest.mark.slow), "plain"])
def salient_project(tmp_path, monkeypatch, cpu, request):
    """A project whose crops are cut by salient boxes, with ``Dark`` in place of U²-Net-p; and its export."""
    write_project(tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
    params["crops"] |= {"boxes": "salient", "confidence": 0.2, "background": request.param}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    card = tmp_path / "models/mine/encoders/classifier/encoder.json"
    kinds = dict(zip(CLASSES["type"], ["dress", "top", "bottom"], strict=True))
    write_json(card, read_json(card) | {"superclass_of": kinds})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "load_network", Dark)
    file = tmp_path / "dark.onnx"
    torch.onnx.export(
        Dark(), (torch.zeros(1, 3, network.SIDE, network.SIDE),), str(file), input_names=["input.1"],
        output_names=["mask"], dynamo=False,
    )  # fmt: skip
    monkeypatch.setattr(weights, "weights_file", lambda: file)
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    return tmp_path, export_module.export(tmp_path / "exported", "classifier", params)


@pytest.mark.slow
def test_reader_finds_the_salient_garments_that_match_finds(salient_project):
    root, exported = salient_project
    image = Image.new("RGB", (320, 200), "white")
    draw = np.random.default_rng(4)
    for x1, y1, x2, y2 in ((20, 30, 120, 170), (180, 40, 300, 160), (135, 90, 138, 190)):  # the last one is a hook
        dark = draw.integers(0, 60, (y2 - y1, x2 - x1, 3), dtype=np.uint8)
        image.paste(Image.fromarray(dark), (x1, y1))
    image.save(root / "look.png")
    data = (root / "look.png").read_bytes()
    models = Models.open()
    own = models.garments(data)[1]
    vectors, shares = models.describe(own)
    found = reader.Reader(exported).read(data)
    assert len(own) == 2
    for garment, expected, vector, share in zip(found, own, vectors, shares, strict=True):
        assert (garment.superclass, garment.box) == (expected.superclass, expected.box)
        assert garment.confidence == pytest.approx(expected.confidence, abs=1e-4)
        assert garment.vector @ vector > 0.9999
        assert max(one.confidence for one in garment.attributes.values()) == pytest.approx(share.max(), abs=1e-4)
    Image.new("RGB", (60, 60), "white").save(root / "nothing.png")
    (whole,) = reader.Reader(exported).read(root / "nothing.png")
    assert (whole.superclass, whole.box) == ("none", None)
    assert {"salient.onnx", "reader_boxes.py"} <= {path.name for path in exported.iterdir()}
    settings = json.loads((exported / "pipeline.json").read_text())["salient"]
    assert settings["superclass_of"] == {"dress": "dress", "shirt": "top", "skirt": "bottom"}
    shutil.rmtree(exported)
