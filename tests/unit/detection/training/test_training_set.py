"""The training set: an epoch follows from its seed alone, and pasted garments bring their boxes."""

import random

import numpy as np
import pytest
import torch

from stages.detection.training.training_set import MOST_HIDDEN, SIZES, Piece, extract_piece, paste, soft_mask, varied
from stages.detection.yolo_directory import write_yolo_directory
from stages.networks.detector.model import quiet_ultralytics


@pytest.fixture(scope="module")
def data(rectangles, tmp_path_factory):
    quiet_ultralytics()
    from ultralytics.data.utils import check_det_dataset

    out = tmp_path_factory.mktemp("yolo")
    names = ["top", "bottom"]
    return check_det_dataset(
        str(write_yolo_directory(rectangles / "ingested", rectangles / "boxes/tiny", names, True, out))
    )


@pytest.fixture
def training_set(data, tiny):
    from ultralytics.cfg import get_cfg

    from stages.detection.training.training_set import TrainingSet

    def make(**augment):
        settings = get_cfg(overrides={"task": "detect", **tiny(augment=augment).ultralytics()})
        return TrainingSet(img_path=data["train"], imgsz=64, batch_size=4, augment=True, hyp=settings, data=data)

    return make


def epoch(loader, seed):
    """What ``ResumableTrainer`` does at an epoch's start, and the epoch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    loader.reset()
    loader.generator.manual_seed(seed)
    return [(batch["img"], batch["bboxes"], batch["cls"]) for batch in loader]


def same(first, second):
    return all(
        one.shape == other.shape and torch.equal(one, other)
        for left, right in zip(first, second, strict=True)
        for one, other in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_epoch_does_not_know_of_those_before(training_set, workers):
    from ultralytics.data import build_dataloader

    # On the CPU Ultralytics has no workers; the loader that a GPU would have can be looked at here all the same.
    fresh, used = (build_dataloader(training_set(mosaic=0.7, paste=0.5), 4, workers, device="cpu") for _ in range(2))
    assert fresh.num_workers == workers
    first = epoch(used, 1)
    second = epoch(used, 2)
    assert same(epoch(fresh, 2), second)
    assert not same(first, second)
    fresh.close()
    used.close()


def test_pictures_in_memory_stay_as_they_were_read(training_set):
    kept = training_set(mosaic=0.5, paste=1.0, degrees=0.0, translate=0.0, scale=0.0)
    before = [kept.load_image(index)[0].copy() for index in range(len(kept))]
    for index in [*range(len(kept))] * 3:
        kept[index]
    assert all(np.array_equal(kept.ims[index], image) for index, image in enumerate(before))


def test_mosaic_takes_pictures_from_the_whole_set(training_set):
    images, seen = training_set(mosaic=1.0), set()
    get = images.get_image_and_label
    images.get_image_and_label = lambda index: seen.add(index) or get(index)
    random.seed(0)
    for _ in range(20):
        images[0]  # the first picture alone would fill Ultralytics' buffer with itself
    assert seen == set(range(10))


def test_pasted_boxes_show_their_class(training_set):
    """Red is a top and blue a bottom: the middle of a box has its color, unless a later paste lies there."""
    images = training_set(mosaic=0.0, paste=1.0)
    random.seed(1)
    pasted = right = total = 0
    for index in [*range(len(images))] * 3:
        plain, label = len(images.labels[index]["cls"]), images.get_image_and_label(index)
        pasted += len(label["cls"]) - plain
        boxes, classes = label["instances"].bboxes, label["cls"][:, 0]
        assert label["cls"].dtype == np.float32 and boxes.dtype == np.float32
        for (cx, cy, _, _), number in zip(boxes, classes, strict=True):
            blue, _, red = label["img"][int(cy * 64), int(cx * 64)].astype(int)
            right += (red > blue) == (number == 0)
            total += 1
    assert pasted >= 20
    assert right / total > 0.9


def test_closing_the_mosaic_closes_paste(training_set, tiny):
    from ultralytics.cfg import get_cfg

    images = training_set(mosaic=0.5, paste=1.0)
    assert images.paste == 1.0
    images.close_mosaic(get_cfg(overrides=tiny(augment={"paste": 1.0}).ultralytics()))
    assert images.paste == 0.0
    assert len(images.get_image_and_label(1)["cls"]) == 1


def test_paste_off_draws_no_random_number(training_set):
    images = training_set(mosaic=0.0, paste=0.0)
    random.seed(5)
    images.get_image_and_label(1)
    assert random.random() == random.Random(5).random()


RED = (0, 0, 200)


def piece(width, height, label=1.0):
    """A red garment without a margin."""
    return Piece(np.full((height, width, 3), RED, np.uint8), (0, 0, width, height), label)


class Draw:
    """Numbers that a test chooses: the size, whether mirrored (below a half), and the place."""

    def __init__(self, size, mirrored, *places):
        self.size, self.mirrored, self.places = size, mirrored, list(places)

    def uniform(self, low, high):
        assert (low, high) == SIZES
        return self.size

    def random(self):
        return self.mirrored

    def randint(self, low, high):
        place = self.places.pop(0)
        assert low <= place <= high
        return place


def test_cut_takes_the_box_and_a_margin_where_the_picture_has_one():
    image = np.arange(100 * 80 * 3).reshape(100, 80, 3).astype(np.uint8)
    found = extract_piece(image, np.array([0.2, 10.4, 40.1, 50.3]), 3.0)
    # 40 wide: 0.15 x 20 + 1 = 4 pixels of margin to the right, none at the picture's edge.
    assert found.box == (0, 4, 40, 44) and found.label == 3.0
    assert np.array_equal(found.pixels, image[6:54, 0:44])


def test_mask_is_full_on_the_box_axes_and_fades_out_beyond():
    mask = soft_mask(60, 80, (20, 10, 60, 50))
    assert mask.dtype == np.float32 and mask.shape == (60, 80)
    assert mask[30, 20:60].min() == 1 and mask[10:50, 40].min() == 1
    assert mask[10, 20] == 0 and mask[49, 59] == 0  # the corners of the box: 2 ** (1/4) = 1.19 half sides away
    assert 0 < mask[30, 61] < 1 and mask[30, 64] == 0
    assert np.array_equal(mask, mask[:, ::-1]) and np.array_equal(mask, mask[::-1])


def test_pasted_garment_is_where_its_label_says():
    image = np.full((100, 120, 3), 50, np.uint8)
    before = image.copy()
    result, boxes, labels = paste(
        image, np.array([[80.0, 60, 110, 95]]), np.array([2.0]), [piece(40, 30)], Draw(1.0, 0.9, 5, 20)
    )
    assert boxes.tolist() == [[80, 60, 110, 95], [5, 20, 45, 50]] and labels.tolist() == [2.0, 1.0]
    assert result[35, 25].tolist() == list(RED)
    red = (result != 50).any(axis=2)
    assert red[20:50, 5:45].sum() == red.sum()  # a piece without a margin has no pixel outside its box
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (5, 20, 45, 50)
    assert np.array_equal(image, before)


def test_size_and_mirroring_move_the_box_along():
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[10:40, 10:50] = RED
    smaller = varied(Piece(pixels, (10, 10, 50, 40), 0.0), 500, 500, Draw(0.5, 0.1))
    assert smaller.box == (25, 5, 45, 20) and smaller.pixels.shape == (25, 50, 3)
    inside = smaller.pixels[6:19, 26:44]
    assert (inside == RED).all() and (smaller.pixels[:, :23] == 0).all()


def test_garment_larger_than_the_picture_is_made_to_fit():
    image = np.zeros((64, 64, 3), np.uint8)
    for seed in range(50):
        _, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), [piece(300, 200)], random.Random(seed))
        assert len(labels) == 1
        assert boxes.min() >= 0 and boxes.max() <= 64


def test_garment_too_small_to_see_is_left_out():
    image = np.zeros((64, 64, 3), np.uint8)
    result, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), [piece(40, 10)], Draw(0.5, 0.9))
    assert boxes.shape == (0, 4) and labels.shape == (0,) and not result.any()


@pytest.mark.parametrize(("width", "kept"), [(68, True), (76, False)])
def test_box_that_is_mostly_hidden_goes(width, kept):
    """Of a box 100 wide and 40 high a pasted piece of its height hides 68 or 76 %, less the round corners."""
    assert 0.68 < MOST_HIDDEN < 0.74
    image = np.zeros((80, 140, 3), np.uint8)
    box = np.array([[10.0, 20, 110, 60]])
    _, boxes, labels = paste(image, box, np.array([5.0]), [piece(width, 40)], Draw(1.0, 0.9, 10, 20))
    assert list(labels) == ([5.0, 1.0] if kept else [1.0])
    assert len(boxes) == len(labels)


def test_pasted_garment_under_another_goes_too():
    image = np.zeros((100, 100, 3), np.uint8)
    pieces = [piece(30, 30, 1.0), piece(60, 60, 2.0)]
    _, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), pieces, Draw(1.0, 0.9, 30, 30, 15, 15))
    assert labels.tolist() == [2.0] and boxes.tolist() == [[15, 15, 75, 75]]


def test_same_numbers_give_the_same_picture():
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    first, again = (
        paste(image, np.array([[1.0, 1, 20, 20]]), np.array([0.0]), [piece(20, 20)] * 2, random.Random(7))
        for _ in range(2)
    )
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
