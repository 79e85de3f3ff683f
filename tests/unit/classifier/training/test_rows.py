"""The published augmentation table, measured: how often, how far, in which order, and on which pixels."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter

from stages.classifier.training.rows import Augment, Effects
from stages.networks.backbones.features import Pictures
from stages.networks.classifier import AugmentParams

STILL = {"flip": 0.0, "rotation": 0.0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.0}
OFF = {"blur": 0, "brightness": 0, "contrast": 0, "jpeg": 0}
# A's table, by hand: probability of each effect.
PUBLISHED = {"blur": 0.3, "brightness": 0.1, "contrast": 0.1, "jpeg": 0.3}
PLACES = ["crop", "input"]


@pytest.fixture
def augment(params):
    """Section ``classifier.augment`` with every effect off and no geometry, but for some changes."""

    def make(effects_on="input", **changes):
        values = params().augment.model_dump() | OFF | {"geometry": STILL, "effects_on": effects_on}
        return Augment(AugmentParams.model_validate(values | changes))

    return make


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def gray(array):
    return np.repeat(np.asarray(array, np.uint8)[..., None], 3, axis=2)


def views(chain, arrays):
    """float [n, height, width, 3] of square pictures, none of them resized."""
    pictures = Pictures([png(array) for array in arrays], len(arrays[0]))
    return chain(pictures, range(len(arrays))).permute(0, 2, 3, 1).numpy()


def noise(count, side=16):
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def variance(picture):
    """Of the columns in which a picture is bright, each weighed by its brightness, in square pixels."""
    weight = picture[..., 0].sum(axis=0).astype(float)
    place = np.arange(len(weight))
    mean = (weight * place).sum() / weight.sum()
    return (weight * (place - mean) ** 2).sum() / weight.sum()


BLOCK = np.zeros((65, 65))
BLOCK[28:37, 28:37] = 255  # nine pixels wide: a variance of (9 * 9 - 1) / 12


@pytest.mark.parametrize("place", PLACES)
def test_augmentation_that_is_off_changes_nothing(augment, place):
    images = noise(3, 32)
    assert views(augment(place), images) == pytest.approx(np.stack(images).astype(float), abs=1e-3)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_blur_widens_a_block_by_the_square_of_its_radius(augment, place, sigma):
    """Variances add up. Five taps would make 1.43 of the 2.25 that a radius of 1.5 asks for."""
    assert variance(gray(BLOCK)) == pytest.approx(80 / 12)
    (blurred,) = views(augment(place, blur=1, blur_sigma=[sigma, sigma]), [gray(BLOCK)])
    assert variance(blurred) - 80 / 12 == pytest.approx(sigma**2, abs=0.1)


def test_radius_of_the_blur_is_uniform_in_its_range(augment):
    chain = augment(blur=1, blur_sigma=[0.5, 1.5])
    radius = np.sqrt([variance(view) - 80 / 12 for view in views(chain, [gray(BLOCK)] * 300)])
    assert 0.45 < radius.min() < 0.55 and 1.45 < radius.max() < 1.55
    assert radius.mean() == pytest.approx(1.0, abs=0.06) and radius.std() == pytest.approx(1 / 12**0.5, abs=0.03)


def changed_share(chain, images):
    """The share of pictures that are not what they were."""
    different = np.abs(views(chain, images) - np.stack(images)).max(axis=(1, 2, 3)) > 0.5
    return different.mean()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("effect", list(PUBLISHED))
def test_each_effect_changes_the_published_share_of_pictures(augment, place, effect):
    share = changed_share(augment(place, **{effect: PUBLISHED[effect]}), noise(1200))
    # Three and a half standard errors; a factor of almost 1 changes nothing (about 2 % of those drawn).
    assert share == pytest.approx(PUBLISHED[effect], abs=3.5 * (0.3 * 0.7 / 1200) ** 0.5)


def test_effects_are_drawn_independently_of_each_other(augment):
    """Of all pictures .7 * .9 * .9 * .7 stay as they are."""
    share = changed_share(augment(**PUBLISHED), noise(1200))
    assert share == pytest.approx(1 - 0.7 * 0.9 * 0.9 * 0.7, abs=0.05)


def test_brightness_multiplies_by_a_factor_of_its_range(augment):
    plain = gray(np.full((4, 4), 100))
    factor = views(augment(brightness=1, factor=[0.8, 1.2]), [plain] * 500).mean(axis=(1, 2, 3)) / 100
    assert 0.79 <= factor.min() < 0.82 and 1.18 < factor.max() <= 1.2
    assert factor.mean() == pytest.approx(1.0, abs=0.02) and factor.std() == pytest.approx(0.4 / 12**0.5, abs=0.01)


def test_contrast_moves_pixels_away_from_the_mean_by_a_factor_of_its_range(augment):
    halves = gray(np.concatenate([np.full((4, 2), 50), np.full((4, 2), 150)], axis=1))  # 100 +- 50
    changed = views(augment(contrast=1, factor=[0.8, 1.2]), [halves] * 500)
    factor = (changed[:, :, 2:].mean(axis=(1, 2, 3)) - changed[:, :, :2].mean(axis=(1, 2, 3))) / 100
    assert changed.mean() == pytest.approx(100, abs=1)
    assert 0.78 <= factor.min() < 0.82 and 1.18 < factor.max() <= 1.21
    assert factor.mean() == pytest.approx(1.0, abs=0.02) and factor.std() == pytest.approx(0.4 / 12**0.5, abs=0.01)


def quality_of(image):
    """The quality that a JPEG was written with, read from its luminance table.

    That is the table of the standard's Annex K (its first row is typed here) in percent of ``200 - 2 q``, below a
    quality of 50 of ``5000 / q``.
    """
    annex = np.array([16, 11, 10, 16, 24, 40, 51, 61])
    found = np.array(image.quantization[0][:8])
    fits = [
        quality
        for quality in range(1, 101)
        if (
            np.clip((annex * (200 - 2 * quality if quality >= 50 else 5000 // quality) + 50) // 100, 1, 255) == found
        ).all()
    ]
    assert len(fits) == 1
    return fits[0]


def test_jpeg_is_written_in_a_quality_of_its_range(augment):
    picture = Image.fromarray(noise(1)[0])
    qualities = [quality_of(effects(picture)) for effects in augment(jpeg=1, jpeg_quality=[40, 70]).draw(600)]
    assert (min(qualities), max(qualities)) == (40, 70) and len(set(qualities)) == 31
    assert np.mean(qualities) == pytest.approx(55, abs=1.5)


def test_effects_come_in_the_published_order():
    """Blur, brightness, contrast, JPEG; another order gives another picture."""
    image = Image.fromarray(noise(1, 32)[0])
    stream = io.BytesIO()
    blurred = image.filter(ImageFilter.GaussianBlur(1.2))
    ImageEnhance.Contrast(ImageEnhance.Brightness(blurred).enhance(1.2)).enhance(0.8).save(stream, "JPEG", quality=40)
    expected = np.asarray(Image.open(stream))
    assert np.array_equal(np.asarray(Effects(1.2, 1.2, 0.8, 40)(image)), expected)
    one_by_one = [Effects(None, None, None, 40), Effects(1.2, None, None, None), Effects(None, 1.2, 0.8, None)]
    for effect in one_by_one:  # the JPEG first
        image = effect(image)
    assert not np.array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(("place", "radius"), [("crop", 1.5 / 4), ("input", 1.5)])
def test_effects_on_the_crop_come_before_it_is_resized(augment, place, radius):
    """A picture of 260 pixels becomes one of 65: what was 1.5 pixels wide before is a quarter of that after."""
    large = gray(np.kron(BLOCK, np.ones((4, 4))))
    chain, pictures = augment(place, blur=1, blur_sigma=[1.5, 1.5]), Pictures([png(large)], 65)
    before = variance(pictures.batch([0])[0].permute(1, 2, 0).numpy())
    after = variance(chain(pictures, [0])[0].permute(1, 2, 0).numpy())
    assert after - before == pytest.approx(radius**2, abs=0.1)


@pytest.mark.parametrize("place", PLACES)
def test_pictures_themselves_stay_as_they_were(augment, place):
    pictures = Pictures([png(array) for array in noise(4)], 16)
    before = pictures.batch(range(4)).clone()
    augment(place, blur=1, brightness=1, contrast=1, jpeg=1)(pictures, range(4))
    assert torch.equal(pictures.batch(range(4)), before)


def test_crops_of_other_shapes_are_brought_to_the_square_as_the_pictures_are(augment):
    data = [png(noise(1, 40)[0][:20])]
    for fit in ("pad", "cover", "stretch"):
        pictures = Pictures(data, 16, fit)
        assert torch.equal(augment("crop")(pictures, [0]).round(), pictures.batch([0]).float())


def test_geometry_flips_every_picture_when_its_probability_is_one(augment):
    images = noise(4, 32)
    flipped = views(augment(geometry=STILL | {"flip": 1.0}), images)
    assert flipped == pytest.approx(np.stack(images)[:, :, ::-1].astype(float), abs=1e-3)
