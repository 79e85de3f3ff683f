"""The drawn In-shop tree: upstream's lists, items in several views, the same bytes every time."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest
from PIL import Image

from stages.core.tables import read_table
from stages.demo import inshop
from stages.demo.truth import FILE, TRUTH

PARAMS = inshop.InshopDemo(
    seed=6, train_items=8, test_items=5, views=4, width=48, height=64, single_image_items=2, missing_images=1
)


def draw(folder, **changes):
    args = SimpleNamespace(out=folder / "raw", truth=folder / "truth")
    inshop.main(args, SimpleNamespace(demo=PARAMS.model_copy(update=changes)))
    return folder


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("inshop"))


def rows(drawn, name, header):
    lines = (drawn / "raw" / name).read_text().splitlines()
    assert lines[1] == header
    assert int(lines[0]) == len(lines) - 2
    return [line.split() for line in lines[2:]]


def test_same_params_give_the_same_bytes_and_another_seed_others(drawn, tmp_path):
    assert content(draw(tmp_path / "again")) == content(drawn)
    assert content(draw(tmp_path / "other", seed=7)) != content(drawn)


def test_lists_are_upstreams(drawn):
    partition = rows(drawn, "Eval/list_eval_partition.txt", "image_name item_id evaluation_status")
    assert len(partition) == 2 * 1 + 6 * 4 + 5 * 4
    pattern = r"img/(MEN|WOMEN)/[A-Za-z_]+/(id_\d{8})/\d\d_\d_(front|side|back|full|flat|additional)\.jpg"
    for name, item, status in partition:
        assert re.fullmatch(pattern, name)[2] == item
        assert status in ("train", "query", "gallery")
    files = {path.relative_to(drawn / "raw/Img/img_highres").as_posix() for path in drawn.rglob("*.jpg")}
    assert len({name.removeprefix("img/") for name, _, _ in partition} - files) == 1  # the missing image
    items = (drawn / "raw/Anno/list_item_inshop.txt").read_text().splitlines()
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


def test_boxes_are_those_of_the_picture_in_the_middle_of_256(drawn):
    truth = {row["item"]: row for row in read_table(drawn / "truth" / FILE, TRUTH).to_pylist() if row["item"]}
    found = rows(drawn, "Anno/list_bbox_inshop.txt", "image_name clothes_type pose_type x_1 y_1 x_2 y_2")
    for name, _, _, *corners in found:
        row = truth.get(name.removeprefix("img/").removesuffix(".jpg"))
        if row is None:
            continue  # the missing image
        # 48 x 64 is 192 x 256 with 32 pixels of margin left and right
        expected = [row["x1"] * 4 + 32, row["y1"] * 4, row["x2"] * 4 + 32, row["y2"] * 4]
        assert [int(corner) for corner in corners] == expected
        assert Image.open(drawn / "raw/Img/img_highres" / name.removeprefix("img/")).size == (48, 64)


def test_an_item_looks_the_same_in_every_view_and_only_it_does(drawn):
    looks, companions = {}, {}
    for row in read_table(drawn / "truth" / FILE, TRUTH).to_pylist():
        look = tuple(row[name] for name in ("kind", "gender", "base_colour", "fabric", "pattern"))
        if row["item"]:
            assert looks.setdefault(row["instance"], look) == look
        else:
            companions.setdefault(row["instance"], set()).add(row["image_id"])
    assert len(looks) == 13 and len(set(looks.values())) >= 12
    assert companions and all(len(photos) == 1 for photos in companions.values())
