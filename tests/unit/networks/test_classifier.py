"""Shapes of the network, the vector that the matcher compares, and label names there and back."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from small_classifier import CLASSES, RUNTIME, frame, head_of, plain_crops
from torch import nn

from stages.classifier.training.batches import prepare
from stages.classifier.training.train_classifier import build
from stages.networks.backbones.backbones import Backbone, with_extra_backbones
from stages.networks.backbones.colors import WIDTH, color_histogram
from stages.networks.backbones.features import save_encoder, square
from stages.networks.classifier import SHARED, Block, ClassifierEncoder, encode_detected


@pytest.fixture(scope="module")
def crops():
    return plain_crops()


@pytest.mark.parametrize(("kind", "extra"), [("none", 0), ("scalar", 1), ("onehot", 8)])
def test_layers_have_the_published_widths(network, kind, extra):
    model, _ = network(detector_class=kind, pooling="last")
    assert (model.projection.in_features, model.projection.out_features) == (256, 1024)
    assert [(block.linear.in_features, block.linear.out_features) for block in model.blocks] == [
        (1024 + extra, 512),
        (512, 512),
    ]
    assert {head: (head_of(model, head).in_features, head_of(model, head).out_features) for head in CLASSES} == {
        "type": (512, 3), "color": (512, 2),
    }  # fmt: skip


def test_output_has_one_row_for_each_image(network, superclasses):
    model, _ = network()
    logits = model.eval()(torch.zeros(4, 3, 32, 32), encode_detected("scalar", ["top"] * 4, superclasses))
    assert {head: tuple(values.shape) for head, values in logits.items()} == {"type": (4, 3), "color": (4, 2)}


def test_embedding_is_the_output_of_the_last_batch_norm(network, superclasses):
    model, _ = network()
    model.train()
    seen = {}
    model.blocks[-1].norm.register_forward_hook(lambda module, inputs, output: seen.update(out=output))
    images = torch.randint(0, 255, (8, 3, 32, 32), dtype=torch.uint8)
    vectors = model.embedding(images, encode_detected("scalar", ["top"] * 8, superclasses))
    assert vectors.shape == (8, 512)
    assert torch.equal(vectors, seen["out"])
    # Straight from BatchNorm: mean 0 over the batch, and values below 0, which LeakyReLU would have shrunk.
    assert vectors.mean(dim=0).abs().max() < 1e-4
    assert vectors.min() < -0.5


def test_logits_come_from_the_embedding(network, superclasses):
    model, _ = network()
    model.eval()
    images, detected = torch.zeros(2, 3, 32, 32), encode_detected("scalar", ["top", "none"], superclasses)
    direct, hidden = model(images, detected), model.blocks[-1].rest(model.embedding(images, detected))
    assert all(torch.equal(direct[head], model.heads[f"head_{head}"](hidden)) for head in CLASSES)


def test_color_head_answers_from_the_histogram_alone(network, superclasses):
    model, _ = network(pooling="stages_colors", color_heads=["color"])
    model.eval()
    images = torch.zeros(2, 3, 32, 32)
    images[1] = 255
    detected = encode_detected("scalar", ["top", "none"], superclasses)
    with torch.no_grad():
        before = model(images, detected)
        assert set(before) == set(CLASSES)
        for block in model.blocks:
            block.linear.weight.zero_()  # nothing of the picture comes through the blocks
        seen = model(images, detected)
        assert torch.equal(seen["color"], before["color"])
        assert not torch.allclose(seen["color"][0], seen["color"][1])
        assert torch.allclose(seen["type"][0], seen["type"][1])


def test_blocks_are_taught_the_colors_that_their_own_head_answers(network, superclasses):
    """The matcher's vector comes from the blocks: without the label they would learn to ignore color."""
    model, _ = network(pooling="stages_colors", color_heads=["color"])
    model.train()
    logits = model(torch.rand(4, 3, 32, 32) * 255, encode_detected("scalar", ["top"] * 4, superclasses))
    assert set(logits) == {*CLASSES, "color" + SHARED}
    logits["color"].sum().backward(retain_graph=True)
    assert model.projection.weight.grad is None
    logits["color" + SHARED].sum().backward()
    assert model.projection.weight.grad.abs().sum() > 0


def test_color_head_without_a_histogram_or_that_is_no_head_is_refused(params):
    with pytest.raises(ValidationError, match="color_heads needs pooling: stages_colors, found last"):
        params(color_heads=["color"], pooling="last")
    with pytest.raises(ValidationError, match="color_heads: fabric is not among heads"):
        params(color_heads=["fabric"], pooling="stages_colors")


def test_standardized_features_have_the_statistics_of_the_rows_that_were_seen(network):
    model, _ = network(standardize=True)
    features = torch.randn(64, model.backbone.width) * 7 + 3
    model.train()
    for _ in range(200):
        model.standardize(features)
    model.eval()
    normed = model.standardize(features)
    assert torch.allclose(normed.mean(0), torch.zeros(len(normed[0])), atol=1e-3)
    assert torch.allclose(normed.std(0), torch.ones(len(normed[0])), atol=1e-2)
    assert not list(model.standardize.parameters())


def test_detected_class_is_encoded_by_its_joint_id(superclasses):
    names = ["outwear", "footwear", "none", ""]
    assert encode_detected("scalar", names, superclasses).flatten().tolist() == pytest.approx([0, 6 / 7, 1, 1])
    assert encode_detected("onehot", names, superclasses).argmax(dim=1).tolist() == [0, 6, 7, 7]
    assert encode_detected("none", names, superclasses).shape == (4, 0)


def test_detected_class_changes_the_result(network, superclasses):
    model, _ = network()
    model.eval()
    images = torch.zeros(1, 3, 32, 32)
    first, second = (
        model.embedding(images, encode_detected("scalar", [name], superclasses)) for name in ("outwear", "footwear")
    )
    assert not torch.allclose(first, second)


def card(model, options, superclasses):
    return {"backbone": "test_efficientnet", "image_size": 32, "metric": "cosine", "classes": CLASSES,
            "superclasses": superclasses, "params": options.model_dump(mode="json")}  # fmt: skip


@pytest.fixture
def saved(network, superclasses, tmp_path):
    model, options = network()
    save_encoder(model, card(model, options, superclasses), tmp_path)
    return model.eval(), options, ClassifierEncoder(tmp_path)


def test_saved_classifier_gives_the_same_vectors(saved, crops, superclasses):
    model, options, encoder = saved
    rows = prepare(frame(crops), CLASSES, superclasses, options)
    with torch.inference_mode():
        expected = model.embedding(rows.pictures.batch(range(6)), rows.detected).numpy()
    vectors = encoder.embed(encoder.pixels.decode(crops), list(frame(crops)["detected_class"]))
    assert (vectors.shape, vectors.dtype, encoder.metric) == ((6, 512), np.float32, "cosine")
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-4)


def test_label_names_come_back_as_they_went_in(saved, crops, superclasses, monkeypatch):
    """Names -> indices -> perfect logits -> names, through the saved card: where published results went wrong."""
    _, options, encoder = saved
    data = frame(crops)
    rows = prepare(data, CLASSES, superclasses, options)
    perfect = {
        head: torch.nn.functional.one_hot(targets.clamp(min=0), len(CLASSES[head])).float() * 20
        for head, targets in rows.targets.items()
    }
    monkeypatch.setattr(encoder.network, "forward", lambda images, detected: perfect)
    result = encoder.attributes(encoder.pixels.decode(crops), list(data["detected_class"]))
    for head in CLASSES:
        for found, name in zip(result, data[head], strict=True):
            if isinstance(name, str):
                assert found[head][0] == name
                assert found[head][1] == pytest.approx(1, abs=1e-6)


def test_extra_backbones_are_trained_with_saved_and_read_again(cpu, params, superclasses, crops, tmp_path, monkeypatch):
    """From the params to the file and back; the head of colors still reads the histogram, which comes last."""
    options = params(
        extra_backbones=["test_resnet"], pooling="stages_colors", color_heads=["color"], detector_class="none"
    )
    asked = []
    monkeypatch.setattr(
        "stages.classifier.training.train_classifier.with_extra_backbones",
        lambda backbone, names, weights: (
            asked.append((names, weights)) or with_extra_backbones(backbone, names, "none")
        ),
    )
    (tmp_path / "vocabulary.json").write_text(json.dumps(CLASSES), encoding="utf-8")
    (tmp_path / "superclasses.csv").write_text("id,superclass\n0,top\n", encoding="utf-8")
    args = Namespace(dataset=tmp_path, tables=tmp_path)
    model = build(args, Backbone("test_efficientnet", "none", "stages_colors"), options, RUNTIME).eval()
    assert asked == [(["test_resnet"], "packaged")]
    card = {"backbone": model.backbone.name, "metric": "cosine", "classes": CLASSES, "superclasses": ["top"],
            "params": options.model_dump(mode="json")}  # fmt: skip
    save_encoder(model, card, tmp_path)
    encoder = ClassifierEncoder(tmp_path)
    images = square(options.image_size, options.fit).decode(crops)
    nothing = torch.zeros(len(crops), 0)
    with torch.inference_mode():
        expected = model.embedding(images, nothing).numpy()
        np.testing.assert_allclose(encoder.embed(images, [""] * len(crops)), expected, rtol=0, atol=1e-5)
        features = model.backbone(images)
        assert torch.equal(features[:, -WIDTH:], color_histogram(images))
        changed = torch.cat([features[:, :-WIDTH] + 1, features[:, -WIDTH:]], 1)
        before, after = (model.logits_of(each, nothing) for each in (features, changed))
    assert torch.equal(before["color"], after["color"]) and not torch.allclose(before["type"], after["type"])


def test_temperature_of_a_head_changes_how_sure_it_is_and_no_attribute(saved, crops, superclasses):
    _, _, encoder = saved
    given = encoder.pixels.decode(crops), list(frame(crops)["detected_class"])
    plain, before = encoder.attributes(*given), encoder.probabilities(*given)
    assert set(encoder.temperatures.values()) == {1.0}  # of a card that has none
    encoder.temperatures["type"] = 0.5
    after = encoder.probabilities(*given)
    squares = before["type"] ** 2  # dividing logits by a half squares the probabilities
    assert after["type"] == pytest.approx(squares / squares.sum(axis=1, keepdims=True), abs=1e-6)
    assert np.array_equal(after["color"], before["color"])
    for old, new in zip(plain, encoder.attributes(*given), strict=True):
        assert old["type"][0] == new["type"][0] and old["type"][1] < new["type"][1]
        assert old["color"] == new["color"]


def test_vectors_and_probabilities_of_one_pass_are_those_of_two(saved, crops):
    _, _, encoder = saved
    given = encoder.pixels.decode(crops), list(frame(crops)["detected_class"])
    vectors, probabilities = encoder.vectors_and_probabilities(*given)
    assert np.array_equal(vectors, encoder.embed(*given))
    for head, expected in encoder.probabilities(*given).items():
        assert np.array_equal(probabilities[head], expected)


def test_block_without_batch_norm_is_linear_then_leaky_relu(params):
    block = Block(2, 2, params(batch_norm=False, dropout=0.0))
    assert isinstance(block.norm, nn.Identity)
    with torch.no_grad():
        block.linear.weight.copy_(torch.eye(2))
        block.linear.bias.zero_()
    assert block(torch.tensor([[3.0, -2.0]])).tolist()[0] == pytest.approx([3.0, -0.02])
    assert not [name for name in block.state_dict() if name.startswith("norm")]
    assert isinstance(Block(2, 2, params(batch_norm=True)).norm, nn.BatchNorm1d)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blur_sigma": [1.5, 0.5]}, "expected the lower bound first"),
        ({"blur_sigma": [0, 1]}, "greater than 0"),
        ({"factor": [-0.2, 1.2]}, "greater than or equal to 0"),
        ({"jpeg_quality": [40, 101]}, "less than or equal to 100"),
    ],
)
def test_augmentation_that_cannot_be_drawn_is_refused(params, changes, message):
    augment = params().augment.model_dump()
    with pytest.raises(ValueError, match=message):
        params(augment=augment | changes)


def test_cached_views_of_a_backbone_that_moves_are_refused(params):
    with pytest.raises(ValueError, match="cached_views"):
        params(freeze_backbone=False, cached_views=2)


def test_probability_of_a_superclass_is_the_sum_over_its_types(saved, crops, monkeypatch):
    _, _, encoder = saved
    encoder.superclass_of = dict(zip(CLASSES["type"], ["top", "top"], strict=False)) | {"Hat": "headwear"}
    shares = np.tile(np.linspace(0.1, 0.4, len(CLASSES["type"])), (len(crops), 1))
    asked = []
    monkeypatch.setattr(
        encoder, "probabilities", lambda images, detected: asked.append((len(images), detected)) or {"type": shares}
    )
    found = encoder.superclass_probabilities(crops)
    assert list(found) == ["top"]  # a type without a superclass counts for none
    assert found["top"] == pytest.approx(shares[:, :2].sum(axis=1))
    assert asked == [(len(crops), [""] * len(crops))]
