"""Views change geometry, never colour."""

import pytest
import torch

from stages.encoders.augment import GeometryParams, random_view

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


def test_right_angle_turns_the_image():
    """With many draws of up to 180 degrees some are near 90: what was left is then at the top or the bottom."""
    image = torch.full((2000, 3, 32, 32), 255.0)
    image[:, :, 12:20, 0:6] = 0  # a dark spot at the left
    dark = 255 - view(image, rotation=180).mean(dim=1)
    top, left = dark[:, :6, 12:20].mean(dim=(1, 2)), dark[:, 12:20, :6].mean(dim=(1, 2))
    assert (top > 240).any()
    assert (left > 240).any()


def test_outside_of_a_turned_image_is_white():
    turned = view(torch.zeros(50, 3, 32, 32), rotation=45)
    assert turned[:, :, 0, 0].max() == pytest.approx(255, abs=1)
    assert turned[:, :, 10:22, 10:22].max() < 1  # the middle is always inside


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_mask_is_grey_and_never_larger_than_its_share(share):
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
    """A plain image stays plain: no colour augmentation, on purpose."""
    plain = torch.tensor([200, 30, 90], dtype=torch.uint8).view(1, 3, 1, 1).expand(20, 3, 32, 32)
    centre = view(plain, flip=0.5, rotation=15, min_scale=0.6)[:, :, 16, 16]
    assert torch.allclose(centre, torch.tensor([200.0, 30, 90]).expand(20, 3), atol=0.01)


def test_same_seed_gives_the_same_views(images):
    options = {"flip": 0.5, "rotation": 30, "min_scale": 0.5, "mask": 0.5, "mask_share": 0.2}
    assert torch.equal(view(images, seed=3, **options), view(images, seed=3, **options))
    assert not torch.equal(view(images, seed=3, **options), view(images, seed=4, **options))


def test_each_image_of_a_batch_is_changed_in_its_own_way():
    same = torch.rand(1, 3, 32, 32).expand(8, 3, 32, 32) * 255
    result = view(same, rotation=30)
    assert not torch.allclose(result[0], result[1], atol=1)
