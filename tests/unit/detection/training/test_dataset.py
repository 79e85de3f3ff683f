"""The training set: an epoch follows from its seed alone, and pasted garments bring their boxes."""

import random

import numpy as np
import pytest
import torch

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

    from stages.detection.training.dataset import TrainingSet

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
    """Red is a top and blue a bottom: the middle of a box has its colour, unless a later paste lies there."""
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
