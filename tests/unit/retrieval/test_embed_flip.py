"""Flip test-time augmentation: the vectors, what is written, and the figures with and without it side by side."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from stages.contracts import images as images_module
from stages.contracts.images import encode_jpeg, open_rgb
from stages.networks.backbones.features import Pixels, mean_vectors, mirrored, square
from stages.retrieval.comparison import compared, on_and_off
from stages.retrieval.vectors import read_vectors


def halves(left, right):
    """JPEG of a picture whose left half is one grey and its right half another."""
    array = np.full((32, 32, 3), left, np.uint8)
    array[:, 16:] = right
    return encode_jpeg(Image.fromarray(array))


def test_mirrored_pictures_are_the_pictures_turned_round():
    images = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3)
    assert mirrored(images).tolist() == [[[[2, 1, 0], [5, 4, 3]]]]


@pytest.mark.parametrize("fit", ["pad", "cover"])
def test_flipped_tensor_is_the_input_of_the_mirrored_picture(fit):
    """Here to the pixel: what is added or cut off on both sides is even, and 80 x 48 is resized to the half."""
    array = np.random.default_rng(0).integers(0, 255, (80, 48, 3), dtype=np.uint8)
    plain, turned = (
        Pixels(40, 40, fit).decode([bmp(Image.fromarray(one))]) for one in (array, np.ascontiguousarray(array[:, ::-1]))
    )
    assert torch.equal(mirrored(plain), turned)


def bmp(image):
    """Encoded without loss."""
    stream = io.BytesIO()
    image.save(stream, "BMP")
    return stream.getvalue()


def test_cosine_mean_is_the_bisector_whatever_the_lengths():
    plain, mirrored = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 100.0]], np.float32)
    assert mean_vectors(plain, mirrored, "cosine").tolist()[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert mean_vectors(plain, np.zeros_like(plain), "cosine").tolist() == [[1.0, 0.0]]
    assert np.isfinite(mean_vectors(plain, -plain, "cosine")).all()


def test_euclidean_mean_keeps_the_lengths():
    plain, mirrored = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 100.0]], np.float32)
    assert mean_vectors(plain, mirrored, "euclidean").tolist() == [[1.5, 50.0]]


def test_comparison_takes_the_views_and_only_figures_that_are_there():
    result = {"n_queries": 2, "chance": {"whole_gallery": {"hit_at_1": 0.1}},
              "whole_gallery": {"n_scored": 2, "hit_at_1": 0.5, "map": 0.6, "per_category": {}},
              "same_superclass": {"n_scored": 0}}  # fmt: skip
    assert compared(result) == {"whole_gallery": {"hit_at_1": 0.5, "map": 0.6}, "same_superclass": {}}


def test_without_plain_vectors_there_is_nothing_to_compare(tmp_path):
    assert on_and_off({}, tmp_path, lambda folder: pytest.fail("nothing to score")) is None


class LeftAndRight:
    """Embeds a picture as the mean grey of its left and right half: a mirror image is another vector."""

    metric = "euclidean"
    pixels = square(32)

    def embed(self, images, detected_classes):
        return np.stack([images[..., :16].float().mean((1, 2, 3)), images[..., 16:].float().mean((1, 2, 3))], axis=1)


@pytest.fixture
def project(sides):
    """A query that shows its item from the other side: only flip finds it."""
    queries = [("q1", "coat", (200, 0)), ("q2", "coat", None)]
    gallery = [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120))]
    return lambda flip: sides(LeftAndRight(), queries, gallery, flip)


def test_flip_writes_means_and_the_plain_vectors_beside_them(project):
    vectors, _ = project(flip=True)
    ids, means, metric = read_vectors(vectors / "sides-gallery.parquet")
    plain_ids, plain, plain_metric = read_vectors(vectors / "plain/sides-gallery.parquet")
    assert ids == plain_ids == ["g1", "g2"] and metric == plain_metric == "euclidean"
    assert np.allclose(plain, [[0, 200], [160, 120]], atol=3)
    assert np.allclose(means, [[100, 100], [140, 140]], atol=3)
    assert read_vectors(vectors / "plain/sides-queries.parquet")[0] == ["q1"]  # q2 has no picture


def test_each_picture_is_decoded_once_for_both(project, monkeypatch):
    decoded = []
    monkeypatch.setattr(images_module, "open_rgb", lambda data: decoded.append(data) or open_rgb(data))
    project(flip=True)
    assert len([data for data in decoded if data]) == 3 + 3  # one for each vector; the report shows the three again


def test_both_are_reported_side_by_side(project):
    _, result = project(flip=True)
    # Of two scored queries one is missed. Plain, the coat's other side is nearer to the vest; flipped, it is itself.
    assert result["whole_gallery"]["hit_at_1"] == result["flip"]["on"]["whole_gallery"]["hit_at_1"] == 0.5
    assert result["flip"]["off"]["whole_gallery"]["hit_at_1"] == 0
    assert result["flip"]["off"]["whole_gallery"]["map"] == pytest.approx(0.25)


def test_off_there_are_the_plain_vectors_alone(project):
    vectors, _ = project(flip=True)
    plain = (vectors / "plain/sides-queries.parquet").read_bytes()
    vectors, result = project(flip=False)
    assert not (vectors / "plain").exists() and "flip" not in result
    assert (vectors / "sides-queries.parquet").read_bytes() == plain
    assert result["whole_gallery"]["hit_at_1"] == 0


class Predicting(LeftAndRight):
    """By its own softmax a picture is a coat as far as its left half is light, else a vest."""

    has_categories = True

    def embed_categories(self, images):
        vectors = self.embed(images, [])
        light = vectors[:, :1] / 255
        return vectors, np.concatenate([light, 1 - light], axis=1)


@pytest.mark.parametrize("flip", [True, False])
def test_softmax_is_written_from_the_pass_that_embeds_and_scored_with_the_same_flip(sides, tmp_path, flip):
    """q1 is light on the left: a coat. q2 is light on the right alone: by the mean of both ways it is a coat, too."""
    (tmp_path / "models/e").mkdir(parents=True)
    (tmp_path / "models/e/encoder.json").write_text('{"categories": ["coat", "vest"]}')
    queries = [("q1", "coat", (250, 10)), ("q2", "coat", (40, 240)), ("q3", "coat", None), ("q4", "hat", (9, 9))]
    gallery = [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120)), ("g3", "hat", (0, 0))]
    vectors, result = sides(Predicting(), queries, gallery, flip, "image_category")
    ids, shares, _ = read_vectors(vectors / "softmax/sides-queries.parquet")
    assert ids == ["q1", "q2", "q4"] and np.allclose(shares.sum(1), 1)
    assert np.allclose(shares[:2, 0], [130 / 255, 140 / 255] if flip else [250 / 255, 40 / 255], atol=0.02)
    softmax = result["softmax"]
    assert (softmax["n_scored"], softmax["n_unknown"], softmax["known"]) == (3, 1, 2)  # q3 is a miss, a hat unknown
    assert softmax["top_1"] == pytest.approx(2 / 3 if flip else 1 / 3, abs=1e-6)
    assert ("without_flip" in softmax) == flip
    if flip:
        assert softmax["without_flip"]["top_1"] == pytest.approx(1 / 3, abs=1e-6)
    table = (tmp_path / "report/softmax.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in table[1:]] == [
        ["sides", "e", view, "3"] for view in ("published", "without_flip") if flip or view == "published"
    ]


def test_encoder_without_a_category_path_has_no_softmax(sides):
    rows = [("q1", "coat", (250, 10))], [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120))]
    vectors, result = sides(LeftAndRight(), *rows, True, "image_category")
    assert "softmax" not in result and not (vectors / "softmax").exists()
