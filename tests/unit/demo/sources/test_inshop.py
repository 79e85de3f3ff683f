"""The drawn In-shop tree: upstream's lists, items in several views, the same bytes every time."""

import re
from collections import Counter

from PIL import Image


def rows(drawn, name, header):
    lines = (drawn / "inshop" / name).read_text().splitlines()
    assert lines[1] == header
    assert int(lines[0]) == len(lines) - 2
    return [line.split() for line in lines[2:]]


def test_lists_are_upstreams(drawn):
    partition = rows(drawn, "Eval/list_eval_partition.txt", "image_name item_id evaluation_status")
    assert len(partition) == 2 * 1 + 6 * 4 + 5 * 4
    pattern = r"img/(MEN|WOMEN)/[A-Za-z_]+/(id_\d{8})/\d\d_\d_(front|side|back|full|flat|additional)\.jpg"
    for name, item, status in partition:
        assert re.fullmatch(pattern, name)[2] == item
        assert status in ("train", "query", "gallery")
    files = {
        path.relative_to(drawn / "inshop/Img/img_highres").as_posix() for path in (drawn / "inshop").rglob("*.jpg")
    }
    assert len({name.removeprefix("img/") for name, _, _ in partition} - files) == 1  # the missing image
    items = (drawn / "inshop/Anno/list_item_inshop.txt").read_text().splitlines()
    assert items[0] == "13" and len(items) == 14


def test_test_items_are_queries_and_gallery_and_never_in_train(drawn):
    statuses: dict[str, Counter] = {}
    for _, item, status in rows(drawn, "Eval/list_eval_partition.txt", "image_name item_id evaluation_status"):
        statuses.setdefault(item, Counter())[status] += 1
    assert Counter(tuple(sorted(found.items())) for found in statuses.values()) == {
        (("train", 4),): 6,
        (("train", 1),): 2,
        (("gallery", 2), ("query", 2)): 5,
    }


def test_boxes_are_those_of_the_picture_in_the_middle_of_256(drawn, truth):
    shown = {row["item"]: row for row in truth("inshop") if row["item"]}
    found = rows(drawn, "Anno/list_bbox_inshop.txt", "image_name clothes_type pose_type x_1 y_1 x_2 y_2")
    for name, _, _, *corners in found:
        row = shown.get(name.removeprefix("img/").removesuffix(".jpg"))
        if row is None:
            continue  # the missing image
        # 48 x 64 is 192 x 256 with 32 pixels of margin left and right
        expected = [row["x1"] * 4 + 32, row["y1"] * 4, row["x2"] * 4 + 32, row["y2"] * 4]
        assert [int(corner) for corner in corners] == expected
        assert Image.open(drawn / "inshop/Img/img_highres" / name.removeprefix("img/")).size == (48, 64)


def test_an_item_looks_the_same_in_every_view_and_only_it_does(truth):
    looks, companions = {}, {}
    for row in truth("inshop"):
        look = tuple(row[name] for name in ("kind", "gender", "base_color", "fabric", "pattern"))
        if row["item"]:
            assert looks.setdefault(row["instance"], look) == look
        else:
            companions.setdefault(row["instance"], set()).add(row["image_id"])
    assert len(looks) == 13 and len(set(looks.values())) >= 12
    assert companions and all(len(photos) == 1 for photos in companions.values())
