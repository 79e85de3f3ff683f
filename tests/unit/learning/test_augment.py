"""Views change geometry, and color only when asked; torchvision says what each change of color should give."""

import pytest
import torch
from torchvision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    rgb_to_grayscale,
)

from stages.learning.augment import ColorParams, Draws, GeometryParams, random_view, recolor

NOTHING = {"flip": 0, "rotation": 0, "min_scale": 1, "mask": 0, "mask_share": 0}


def view(images, seed=0, **changes):
    torch.manual_seed(seed)
    return random_view(images, GeometryParams(**NOTHING | changes))


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def test_nothing_asked_for_changes_nothing(images):
    result = view(images)
    assert result.dtype == torch.float32
    assert torch.allclose(result, images.float(), atol=0.01)


def test_flip_mirrors_left_and_right(images):
    assert torch.allclose(view(images, flip=1), images.float().flip(3), atol=0.01)


def test_zoom_shows_a_part_and_full_scale_all_of_it():
    columns = torch.arange(32.0).view(1, 1, 1, 32).expand(400, 3, 32, 32) * 8
    result = view(columns, min_scale=0.25)
    spread = result.amax(dim=(1, 2, 3)) - result.amin(dim=(1, 2, 3))
    # A quarter of the area is half of the columns: 31 * 8 becomes at least 15.5 * 8 or so; nothing is zoomed out.
    assert spread.min() >= 14 * 8
    assert spread.max() <= 31 * 8 + 0.01
    assert spread.std() > 8


def angles(views):
    """Degrees by which a dark spot at the right of its picture was turned, clockwise, in views [n, 3, side, side]."""
    dark = 255 - views.mean(dim=1)
    place = torch.arange(views.shape[-1]) + 0.5 - views.shape[-1] / 2
    x, y = (dark * place).sum(dim=(1, 2)), (dark * place[:, None]).sum(dim=(1, 2))
    return torch.rad2deg(torch.atan2(y, x))


@pytest.mark.parametrize("bound", [0, 15, 90])
def test_rotation_is_uniform_within_its_bound_either_way(bound):
    image = torch.full((2000, 3, 64, 64), 255.0)
    image[:, :, 28:36, 48:56] = 0
    turned = angles(view(image, rotation=bound))
    assert turned.abs().max() <= bound + 0.5
    assert turned.min() <= -0.98 * bound + 0.01 and turned.max() >= 0.98 * bound - 0.01
    assert turned.mean() == pytest.approx(0, abs=0.05 * bound + 0.1)
    assert turned.std() == pytest.approx(bound / 3**0.5, abs=0.03 * bound + 0.1)  # of a uniform angle


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_flip_comes_as_often_as_asked(share):
    image = torch.full((2000, 3, 8, 8), 255.0)
    image[:, :, :, 5:] = 0  # dark at the right
    assert (angles(view(image, flip=share)).abs() > 90).float().mean() == pytest.approx(share, abs=0.04)


def test_outside_of_a_turned_image_is_white():
    turned = view(torch.zeros(50, 3, 32, 32), rotation=45)
    assert turned[:, :, 0, 0].max() == pytest.approx(255, abs=1)
    assert turned[:, :, 10:22, 10:22].max() < 1  # the middle is always inside


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_mask_is_gray_and_never_larger_than_its_share(share):
    side = 100
    hidden = (
        (view(torch.zeros(300, 3, side, side), mask=1, mask_share=share) == 127).all(dim=1).float().mean(dim=(1, 2))
    )
    # A rectangle of share s covers at most (h + 1)(w + 1) pixels of side^2; h and w are at most one side.
    assert hidden.max() <= share + 2.0 / side + 0.01
    assert hidden.max() > share / 2
    assert hidden.mean() == pytest.approx(share / 2, rel=0.2)  # the share is uniform below its largest


def test_mask_comes_as_often_as_asked():
    masked = (view(torch.zeros(600, 3, 32, 32), mask=0.3, mask_share=0.5) == 127).flatten(1).any(dim=1).float().mean()
    assert masked == pytest.approx(0.3, abs=0.08)


def test_colors_stay(images):
    """A plain image stays plain: no color augmentation, on purpose."""
    plain = torch.tensor([200, 30, 90], dtype=torch.uint8).view(1, 3, 1, 1).expand(20, 3, 32, 32)
    center = view(plain, flip=0.5, rotation=15, min_scale=0.6)[:, :, 16, 16]
    assert torch.allclose(center, torch.tensor([200.0, 30, 90]).expand(20, 3), atol=0.01)


def test_same_seed_gives_the_same_views(images):
    options = {"flip": 0.5, "rotation": 30, "min_scale": 0.5, "mask": 0.5, "mask_share": 0.2}
    assert torch.equal(view(images, seed=3, **options), view(images, seed=3, **options))
    assert not torch.equal(view(images, seed=3, **options), view(images, seed=4, **options))


def test_each_image_of_a_batch_is_changed_in_its_own_way():
    same = torch.rand(1, 3, 32, 32).expand(8, 3, 32, 32) * 255
    result = view(same, rotation=30)
    assert not torch.allclose(result[0], result[1], atol=1)


OFF = dict.fromkeys(("probability", "brightness", "contrast", "saturation", "hue", "grayscale"), 0.0)


def recolored(images, seed=0, **changes):
    torch.manual_seed(seed)
    return recolor(images.float(), ColorParams(**OFF | changes), Draws(len(images)))


def test_color_that_is_off_changes_nothing_and_draws_nothing(images):
    options = GeometryParams(flip=0.5, rotation=30, min_scale=0.5, mask=0.5, mask_share=0.2)
    torch.manual_seed(3)
    plain, after = random_view(images, options), torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(random_view(images, options, ColorParams(**OFF)), plain)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize(
    ("name", "adjust"),
    [
        ("brightness", adjust_brightness), ("contrast", adjust_contrast), ("saturation", adjust_saturation),
        ("hue", adjust_hue),
    ],
)  # fmt: skip
def test_each_jitter_is_torchvisions_with_a_factor_for_each_image(images, name, adjust):
    result = recolored(images, probability=1, **{name: 0.4})
    # The factors by hand: the choice comes first, then brightness, contrast, saturation and hue.
    torch.manual_seed(0)
    torch.rand(6)
    spans = [(1, "brightness"), (1, "contrast"), (1, "saturation"), (0, "hue")]
    factors = {
        one: torch.empty(6).uniform_(middle - 0.4 * (one == name), middle + 0.4 * (one == name))
        for middle, one in spans
    }
    expected = [
        adjust(image[None] / 255, factor.item())[0] for image, factor in zip(images.float(), factors[name], strict=True)
    ]
    assert torch.allclose(result / 255, torch.stack(expected), atol=1e-4)
    assert not torch.allclose(result, images.float(), atol=1)


def test_gray_views_have_no_color_and_torchvisions_luminance(images):
    result = recolored(images, grayscale=1)
    assert torch.allclose(result, rgb_to_grayscale(images.float(), 3), atol=1e-3)


@pytest.mark.parametrize(
    ("chances", "kind"), [({"probability": 0.3, "brightness": 0.5}, "jitter"), ({"grayscale": 0.3}, "gray")]
)
def test_color_changes_as_often_as_asked(chances, kind):
    plain = torch.tensor([200.0, 30, 90]).view(1, 3, 1, 1).expand(800, 3, 2, 2)
    changed = (recolored(plain, **chances) - plain).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert changed.float().mean() == pytest.approx(0.3, abs=0.06), kind


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_jitter_is_uniform_in_one_plus_minus_its_strength(name):
    """Factors read back from the pixels: a brighter 100, halves further apart, a color further from its gray."""
    left, right = torch.tensor([90.0, 100, 110]), torch.tensor([120.0, 100, 80])
    image = torch.cat([left.view(3, 1, 1).expand(3, 4, 2), right.view(3, 1, 1).expand(3, 4, 2)], 2)
    if name == "contrast":
        image = torch.cat([torch.full((3, 4, 2), 80.0), torch.full((3, 4, 2), 120.0)], 2)
    views = recolored(image.expand(1000, -1, -1, -1), probability=1, **{name: 0.4})
    measured = {
        "brightness": views[:, 1, 0, 0] / 100,
        "contrast": (views[:, 0, 0, 3] - views[:, 0, 0, 0]) / 40,
        "saturation": (views[:, 2, 0, 0] - views[:, 0, 0, 0]) / 20,
    }[name]
    assert 0.599 <= measured.min() < 0.61 and 1.39 < measured.max() <= 1.401
    assert measured.mean() == pytest.approx(1, abs=0.03) and measured.std() == pytest.approx(0.8 / 12**0.5, abs=0.02)


def test_hue_turns_by_at_most_its_share_of_the_circle():
    red = torch.tensor([200.0, 0, 0]).view(1, 3, 1, 1).expand(1000, 3, 2, 2)
    views = recolored(red, probability=1, hue=0.1)[:, :, 0, 0]
    turn = (views[:, 1] - views[:, 2]) / 200 / 6  # from red, green grows one way and blue the other
    assert -0.1001 <= turn.min() < -0.098 and 0.098 < turn.max() <= 0.1001
    assert turn.std() == pytest.approx(0.2 / 12**0.5, abs=0.005)


def test_values_stay_in_range_whatever_the_strength(images):
    result = recolored(images, probability=1, brightness=1, contrast=1, saturation=1, hue=0.5, grayscale=0.5)
    assert result.min() >= 0
    assert result.max() <= 255.01


def test_mask_is_put_over_the_colors():
    options = GeometryParams(**NOTHING | {"mask": 1, "mask_share": 0.5})
    color = ColorParams(**OFF | {"probability": 1, "brightness": 1})
    torch.manual_seed(0)
    result = random_view(torch.full((20, 3, 32, 32), 200.0), options, color)
    assert (result == 127).flatten(1).any(dim=1).float().mean() > 0.8


def test_part_of_a_batch_gets_the_views_it_gets_in_the_whole(images):
    options = GeometryParams(flip=0.5, rotation=30, min_scale=0.5, mask=0.5, mask_share=0.2)
    color = ColorParams(probability=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, grayscale=0.2)
    torch.manual_seed(5)
    whole, after = random_view(images, options, color), torch.rand(1)
    for part in (slice(0, 2), slice(2, 6)):
        torch.manual_seed(5)
        assert torch.allclose(random_view(images[part], options, color, Draws(6, part)), whole[part], atol=1e-4)
        assert torch.equal(torch.rand(1), after)
