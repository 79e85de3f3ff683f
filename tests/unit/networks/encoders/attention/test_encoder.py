"""The attention encoder: upright pictures, boxes of regions, sheets."""

import numpy as np
import pytest
import torch
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.encoders.attention import AttentionTask
from stages.networks.backbones.features import save_encoder
from stages.networks.encoders.attention.encoder import (
    COLORS,
    AttentionEncoder,
    UprightPictures,
    recommendation_sheet,
    region_box,
    upright,
)
from stages.networks.encoders.attention.recommend import diverse_list, region_distances


def test_pictures_are_upright_with_white_around_them():
    data = [encode_jpeg(Image.new("RGB", (60, 30), "black"))]
    image = upright(48).decode(data)[0]
    assert image.shape == (3, 48, 32)
    # 60 x 30 becomes 32 x 16, centered: 16 white rows above and below.
    assert (image[:, :15] == 255).all() and (image[:, 33:] == 255).all() and (image[:, 18:30] < 20).all()
    assert torch.equal(UprightPictures(data * 2, 48).batch([1])[0], image)


def test_region_box_is_cut_at_the_edges():
    assert region_box((0.5, 0.5), (0.0, 0.0), 100, 200) == (25, 50, 75, 150)
    assert region_box((0.5, 0.5), (0.8, -1.0), 100, 200) == (65, 0, 99, 50)
    assert region_box((-0.5, 0.5), (0.0, 0.0), 100, 200) == (25, 50, 75, 150)  # mirrored: the same place


def test_encoder_gives_whole_pictures_regions_and_recommendations(recipe, examples, tmp_path, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    card = {"kind": "attention", "image_size": 48, "metric": "euclidean", "labels": task.names,
            "network": task.recipe.network.model_dump(mode="json")}  # fmt: skip
    save_encoder(task.network, card, tmp_path)
    encoder = AttentionEncoder(tmp_path)
    images = encoder.pixels.decode(examples[1].data)
    whole, regions = encoder.embed_regions(images)
    assert np.array_equal(encoder.embed(images, [""] * 15), whole)
    np.testing.assert_allclose(whole, task.embed("val", np.arange(15)), rtol=0, atol=1e-5)
    assert np.linalg.norm(regions, axis=2) == pytest.approx(np.ones((15, 2)), abs=1e-5)
    assert encoder.probabilities(images).sum(1) == pytest.approx(np.ones(15), abs=1e-5)
    found = encoder.recommend(images[0], images, examples[1].ids, 4)
    distances = region_distances(encoder.embed_regions(images[:1])[1][0], regions)
    assert found == diverse_list(distances, examples[1].ids, 4)
    assert distances[:, 0] == pytest.approx(distances.min(1), abs=1e-3)  # none is nearer than the picture itself
    assert [region for _, region in found] == [0, 1, 0, 1] and len({name for name, _ in found}) == 4


def test_recommendations_are_framed_in_the_color_of_their_region():
    black, gray = (encode_jpeg(Image.new("RGB", (64, 96), color)) for color in ("black", "gray"))
    sheet = recommendation_sheet([black], [[(gray, 0), (black, 1)]])
    assert sheet.size == (3 * (128 + 6) - 6, 192)
    assert sheet.getpixel((1, 1)) == (0, 0, 0)  # the query has no frame
    assert [sheet.getpixel((place * 134 + 1, 1)) for place in (1, 2)] == [COLORS[0], COLORS[1]]
    assert sheet.getpixel((134 + 64, 96))[0] > 100
