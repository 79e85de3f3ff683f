"""Rows and batches, changed views of crops, and losses that learn only from labels that are there."""

import io
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter
from small_classifier import CLASSES, frame

from stages.classifier.training.batches import (
    UNKNOWN,
    Augment,
    Effects,
    accuracies,
    as_class,
    class_weights,
    interleaved_batches,
    masked_sums,
    predict,
    prepare,
)
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
    np.testing.assert_allclose(views(augment(place), images), np.stack(images).astype(float), rtol=0, atol=1e-3)


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
    np.testing.assert_allclose(flipped, np.stack(images)[:, :, ::-1].astype(float), rtol=0, atol=1e-3)


LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [0.0, 3.0, 1.0], [-1.0, 0.0, 1.0]])
TARGETS = torch.tensor([0, UNKNOWN, 2, 1])


def masked_loss(*arguments, **options):
    """The loss of one process."""
    total, weight = masked_sums(*arguments, **options)
    return total / weight


def by_hand(logits, targets, weights, focal_share, gamma):
    total = total_weight = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        if target == UNKNOWN:
            continue
        p = math.exp(row[target]) / sum(math.exp(value) for value in row)
        weight = weights[target] if weights else 1.0
        cross = -math.log(p)
        total += weight * ((1 - focal_share) * cross + focal_share * (1 - p) ** gamma * cross)
        total_weight += weight
    return total / total_weight


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
@pytest.mark.parametrize(("share", "gamma"), [(0, 2), (1, 2), (0.5, 2), (1, 0), (0.3, 1.5)])
def test_loss_is_the_loop_by_hand(weights, share, gamma):
    given = None if weights is None else torch.tensor(weights)
    loss = masked_loss(LOGITS, TARGETS, given, share, gamma)
    assert loss.item() == pytest.approx(by_hand(LOGITS, TARGETS, weights, share, gamma), rel=1e-5)


def test_focal_loss_agrees_with_torchvision_for_two_classes():
    """Two logits z and 0 are one sigmoid of z; torchvision's focal loss with alpha off is the same formula."""
    from torchvision.ops import sigmoid_focal_loss

    z = torch.tensor([1.3, -0.4, 2.2, -3.0])
    targets = torch.tensor([1, 0, 0, 1])
    logits = torch.stack([torch.zeros(4), z], dim=1)
    expected = sigmoid_focal_loss(z, targets.float(), alpha=-1, gamma=2, reduction="mean")
    assert masked_loss(logits, targets, None, 1, 2).item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_focal_share_it_is_torch_cross_entropy_with_ignored_rows():
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = torch.nn.functional.cross_entropy(LOGITS, TARGETS, weights, ignore_index=UNKNOWN)
    assert masked_loss(LOGITS, TARGETS, weights, 0, 2).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_no_label_at_all_weighs_nothing_and_moves_nothing(weights):
    logits = LOGITS.clone().requires_grad_()
    total, weight = masked_sums(logits, torch.full((4,), UNKNOWN), weights, 0.5, 2)
    assert (total.item(), weight.item()) == (0, 0)
    total.backward()
    assert (logits.grad == 0).all()


def test_rows_without_a_label_get_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    masked_loss(logits, TARGETS, None, 0.5, 2).backward()
    assert (logits.grad[1] == 0).all()
    assert all((logits.grad[row] != 0).any() for row in (0, 2, 3))


def test_unlabeled_rows_do_not_change_the_loss():
    known = TARGETS != UNKNOWN
    assert masked_loss(LOGITS, TARGETS, None, 0.5, 2) == masked_loss(LOGITS[known], TARGETS[known], None, 0.5, 2)


def test_certain_and_right_costs_nothing_and_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    loss = masked_loss(logits, torch.tensor([0]), None, 1, 2)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


def test_class_weights_by_hand():
    # Counts 4 and 1: inverse roots 1/2 and 1; times 5 rows over (4/2 + 1) = 5/3.
    weights = class_weights(torch.tensor([0, 0, 0, 0, 1, UNKNOWN]), 2)
    assert weights.tolist() == pytest.approx([5 / 6, 5 / 3])
    assert (4 * weights[0] + weights[1]).item() / 5 == pytest.approx(1)


def test_equal_classes_weigh_one_and_a_class_without_rows_is_finite():
    assert class_weights(torch.tensor([0, 1, 2, 0, 1, 2]), 3).tolist() == pytest.approx([1, 1, 1])
    assert torch.isfinite(class_weights(torch.tensor([0, 0, UNKNOWN]), 3)).all()


def test_label_smoothing_is_torchs_own():
    logits, targets = torch.randn(6, 4), torch.tensor([0, 3, UNKNOWN, 1, 2, UNKNOWN])
    ours = masked_loss(logits, targets, None, 0.0, 2.0, smoothing=0.1)
    known = targets != UNKNOWN
    assert ours == pytest.approx(torch.nn.functional.cross_entropy(logits[known], targets[known], label_smoothing=0.1))


def test_focal_share_weighs_a_smoothed_loss_by_the_true_class_alone():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))
    smoothed = -(0.9 * math.log(0.7) + 0.1 / 3 * (math.log(0.7) + math.log(0.2) + math.log(0.1)))
    ours = masked_loss(logits, torch.tensor([0]), None, 1.0, 2.0, smoothing=0.1)
    assert float(ours) == pytest.approx(0.3**2 * smoothed, rel=1e-5)


def batches(counts, size, seed=0):
    sources = np.array([name for name, count in counts.items() for _ in range(count)], dtype=object)
    sources = sources[np.random.default_rng(1).permutation(len(sources))]
    return sources, interleaved_batches(sources, size, "batches", torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("counts", [{"a": 20, "b": 7}, {"a": 3}, {"a": 16, "b": 16, "c": 5}])
def test_every_row_comes_once_and_each_batch_has_one_source(counts):
    sources, parts = batches(counts, 4)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(sources)))
    assert all(len(set(sources[part.numpy()])) == 1 for part in parts)


@pytest.mark.parametrize("count", [5, 9, 13])
def test_single_last_row_joins_the_batch_before_it(count):
    _, parts = batches({"a": count}, 4)
    assert sorted(len(part) for part in parts) == [4] * (count // 4 - 1) + [5]


def test_source_of_one_row_makes_no_batch_of_one():
    """BatchNorm cannot train on a single row; the docstring promises that there is none."""
    for counts in ({"a": 8, "b": 1}, {"a": 1, "b": 1, "c": 1}):
        sources, parts = batches(counts, 4)
        assert min(len(part) for part in parts) > 1
        assert sorted(torch.cat(parts).tolist()) == list(range(len(sources)))


@pytest.mark.parametrize("within", ["batches", "rows"])
def test_no_batch_is_smaller_than_the_least(within):
    """Four processes with two rows each, the least that BatchNorm takes."""
    sources = np.array(["a"] * 19 + ["b"] * 13 + ["c"] * 3)
    parts = interleaved_batches(sources, 8, within, torch.Generator().manual_seed(0), 8)
    assert sorted(torch.cat(parts).tolist()) == list(range(35))
    assert min(map(len, parts)) >= 8


def test_sources_are_spread_over_the_epoch():
    sources, parts = batches({"a": 80, "b": 16}, 4)
    places = [place for place, part in enumerate(parts) if sources[part[0]] == "b"]
    # Four batches of b among 24: one in each quarter.
    assert [place // 6 for place in places] == [0, 1, 2, 3]


def test_mixed_batches_hold_every_source_in_proportion():
    sources = np.array(["a"] * 30 + ["b"] * 10)
    parts = interleaved_batches(sources, 8, "rows", torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(40))
    assert [int((sources[part.numpy()] == "b").sum()) for part in parts] == [2, 2, 2, 2, 2]


def test_order_is_random_but_repeats_with_the_seed():
    _, first = batches({"a": 40}, 4, seed=1)
    _, again = batches({"a": 40}, 4, seed=1)
    _, other = batches({"a": 40}, 4, seed=2)
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(other))
    assert torch.cat(first).tolist() != sorted(torch.cat(first).tolist())


def test_next_epoch_has_another_order():
    generator = torch.Generator().manual_seed(0)
    sources = np.array(["a"] * 40)
    first, second = (torch.cat(interleaved_batches(sources, 4, "batches", generator)) for _ in range(2))
    assert not torch.equal(first, second)


def test_names_become_positions_and_unknown_stays_unknown(crops, params, superclasses):
    frame = pd.DataFrame({
        "bytes": crops[:4], "source": ["a", "a", "b", "b"], "detected_class": ["top", "none", None, "outwear"],
        "type": ["shirt", None, "dress", "kimono"], "color": ["red", "blue", None, np.nan],
    })  # fmt: skip
    rows = prepare(frame, {"type": ["dress", "shirt"], "color": ["blue", "red"]}, superclasses, params())
    assert rows.targets["type"].tolist() == [1, UNKNOWN, 0, UNKNOWN]  # the kimono has no training row
    assert rows.targets["color"].tolist() == [1, 0, UNKNOWN, UNKNOWN]
    assert rows.detected.flatten().tolist() == pytest.approx([3 / 7, 1, 1, 0])
    assert len(rows.pictures) == 4
    assert list(rows.sources) == ["a", "a", "b", "b"]


def test_a_missing_label_is_the_last_class():
    assert as_class(torch.tensor([0, UNKNOWN, 1, UNKNOWN]), 3).tolist() == [0, 2, 1, 2]


def test_predictions_are_probabilities_and_accuracy_ignores_unknown_rows(network, crops, superclasses):
    model, options = network()
    rows = prepare(frame(crops), CLASSES, superclasses, options)
    probabilities = predict(model, rows, 4)
    assert probabilities["type"].shape == (6, 3)
    assert probabilities["type"].sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    turned = predict(model, rows, 4, flip=True)
    mirrored = rows.pictures.batch(range(6)).flip(3)
    with torch.inference_mode():
        expected = model(mirrored, rows.detected)["type"].softmax(1).numpy()
    assert turned["type"] == pytest.approx(expected, abs=1e-5)
    always_blue = {"color": np.array([[0.9, 0.1]] * 6)}
    assert accuracies(always_blue, rows) == {"color": pytest.approx(2 / 5)}  # five rows know their color, two are blue
