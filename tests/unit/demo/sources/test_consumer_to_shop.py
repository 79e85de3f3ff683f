"""The drawn Consumer-to-Shop tree: pairs over photos that repeat, consumers' photos unlike the shop's."""

import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def pairs(drawn):
    lines = (drawn / "consumer_to_shop/Eval/list_eval_partition.txt").read_text().splitlines()
    assert lines[1] == "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
    assert int(lines[0]) == len(lines) - 2
    return [line.split() for line in lines[2:]]


def test_pairs_join_each_consumers_photo_with_each_of_the_shop(pairs):
    photos: dict[str, tuple[set, set]] = {}
    for consumer, shop, item, _ in pairs:
        assert re.fullmatch(rf"img/[A-Z]+/[A-Za-z_]+/{item}/comsumer_\d\d\.jpg", consumer)
        assert re.fullmatch(rf"img/[A-Z]+/[A-Za-z_]+/{item}/shop_\d\d\.jpg", shop)
        for names, name in zip(photos.setdefault(item, (set(), set())), (consumer, shop), strict=True):
            names.add(name)
    assert len(photos) == 12
    assert len(pairs) == sum(len(consumers) * len(shops) for consumers, shops in photos.values())
    assert any(len(consumers) > 1 and len(shops) > 1 for consumers, shops in photos.values())


def test_an_item_is_in_one_split(pairs):
    statuses: dict[str, set[str]] = {}
    for _, _, item, status in pairs:
        statuses.setdefault(item, set()).add(status)
    assert sorted(next(iter(found)) for found in statuses.values() if len(found) == 1) == (
        ["test"] * 4 + ["train"] * 6 + ["val"] * 2
    )


def test_boxes_are_the_visible_pixels_of_the_item(drawn, truth):
    shown = {row["item"]: row for row in truth("consumer_to_shop") if row["item"]}
    lines = (drawn / "consumer_to_shop/Anno/list_bbox_consumer2shop.txt").read_text().splitlines()[2:]
    rows = {line.split()[0].removeprefix("img/").removesuffix(".jpg"): line.split()[3:] for line in lines}
    assert len(shown) > 20 and set(shown) <= set(rows)
    for name, row in shown.items():
        assert [int(corner) for corner in rows[name]] == [row[corner] for corner in ("x1", "y1", "x2", "y2")]


def test_shops_show_items_before_a_plain_wall_and_consumers_do_not(drawn):
    def corner_spread(path):
        pixels = np.asarray(Image.open(path)).astype(int)
        edges = np.concatenate([pixels[:, :3].reshape(-1, 3), pixels[:, -3:].reshape(-1, 3)])
        return edges.std(axis=0).mean()

    shop = [corner_spread(path) for path in (drawn / "consumer_to_shop").rglob("shop_*.jpg")]
    street = [corner_spread(path) for path in (drawn / "consumer_to_shop").rglob("comsumer_*.jpg")]
    assert np.median(shop) < 12 < np.median(street)
