"""Backbones as maps and as pooled vectors."""

import pytest
import timm
import torch

from profiles import composed
from stages.core.errors import StageError
from stages.networks.backbones.backbones import Extractor, FeatureMaps

TINY = "test_resnet"


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
