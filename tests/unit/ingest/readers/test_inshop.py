"""In-shop: the partition decides, boxes are those of the picture in 256 x 256, and lists may lie or be cut off."""

import json

import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError

HEADER = "image_name item_id evaluation_status"
BOXES = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
DRESS, TEE = "WOMEN/Dresses/id_00000002", "MEN/Tees_Tanks/id_00000007"
TRAIN, QUERY, GALLERY = f"{TEE}/01_1_front", f"{DRESS}/02_1_front", f"{DRESS}/02_3_back"


def partition(tree, *rows, count=None, end="\n"):
    lines = [str(len(rows) if count is None else count), HEADER, *rows]
    tree.text("Eval/list_eval_partition.txt", end.join(lines) + end)


@pytest.fixture
def shop(tree):
    """One training image and a query with its gallery image, in the middle of 75 x 110 as upstream's 750 x 1101."""
    for seed, name in enumerate((TRAIN, QUERY, GALLERY)):
        tree.image(f"Img/img_highres/{name}.jpg", seed=seed, size=(80, 128))
    partition(
        tree,
        f"img/{TRAIN}.jpg      id_00000007      train",
        f"img/{QUERY}.jpg     id_00000002      query  ",
        f"img/{GALLERY}.jpg     id_00000002      gallery",
    )
    tree.text(
        "Anno/list_bbox_inshop.txt",
        f"2\n{BOXES}\nimg/{QUERY}.jpg    3    1   48  10   208  246\nimg/{TRAIN}.jpg  1  3  128 0 300 256\n",
    )
    tree.text("Anno/list_item_inshop.txt", "2\nid_00000002\nid_00000007\n")
    return tree


def test_images_have_item_role_and_category_of_their_path(shop):
    reading, ledgers, _ = shop.read("inshop")
    rows = {row["image_id"]: row for row in reading.items}
    assert set(rows) == {TRAIN, QUERY, GALLERY}
    assert rows[QUERY] == {
        "item_id": QUERY, "image_id": QUERY, "item": "id_00000002", "role": "query", "gender": "WOMEN",
        "category": "Dresses", "pose": "front",
    }  # fmt: skip
    assert (rows[GALLERY]["pose"], rows[TRAIN]["role"]) == (None, "train")
    assert ledgers["items"]["rows_in"] == 3 and not ledgers["items"]["rejected"]


def test_query_and_gallery_are_test_and_the_group_is_the_item(shop):
    files = {image.image_id: image for image in shop.read("inshop", val_share=0)[0].images}
    assert [files[name].split for name in (TRAIN, QUERY, GALLERY)] == ["train", "test", "test"]
    assert files[QUERY].group == files[GALLERY].group == "id_00000002"
    assert files[TRAIN].ours and not files[QUERY].ours
    assert shop.read("inshop", val_share=0.999)[0].images[0].split == "val"


def test_boxes_of_the_square_are_scaled_to_the_picture_that_is_there(shop):
    out = shop.stage("inshop")
    rows = {row["image_id"]: row for row in pq.read_table(out / "objects.parquet").to_pylist()}
    # 80 x 128 is 160 x 256 with 48 pixels of margin left and right: x = (48 - 48) / 2, (208 - 48) / 2; y / 2.
    assert [rows[QUERY][corner] for corner in ("x1", "y1", "x2", "y2")] == [0, 5, 80, 123]
    assert [rows[TRAIN][corner] for corner in ("x1", "y1", "x2", "y2")] == [40, 0, 80, 128]  # cut off at the border
    assert (rows[QUERY]["class_name"], rows[TRAIN]["class_name"]) == ("full", "upper")
    repaired = json.loads((out / "account.json").read_text())["objects"]["repaired"]
    assert repaired == {"clipped": 1, "scaled_from_256": 2}


def test_boxes_of_pictures_in_256_stay_as_they_are(shop):
    for seed, name in enumerate((TRAIN, QUERY, GALLERY)):
        shop.image(f"Img/img/{name}.jpg", seed=seed, size=(256, 256))
    rows = {row["image_id"]: row for row in pq.read_table(shop.stage("inshop") / "objects.parquet").to_pylist()}
    assert [rows[QUERY][corner] for corner in ("x1", "y1", "x2", "y2")] == [48, 10, 208, 246]


def test_low_resolution_wins_and_the_account_says_which_was_read(shop):
    shop.image(f"Img/img/{QUERY}.jpg", seed=9)
    reading, _, account = shop.read("inshop")
    assert [image.image_id for image in reading.images] == [QUERY]
    assert account.notes["read from"] == {"images": "Img/img"}


def test_windows_line_ends_and_a_byte_order_mark_are_fine(shop):
    rows = "\r\n".join(["2", HEADER, f"img/{QUERY}.jpg id_00000002 query", f"img/{GALLERY}.jpg id_00000002 gallery"])
    shop.text("Eval/list_eval_partition.txt", b"\xef\xbb\xbf" + rows.encode() + b"\r\n")
    assert [row["role"] for row in shop.read("inshop")[0].items] == ["query", "gallery"]


def test_what_is_wrong_with_a_row_is_on_record_with_its_line(shop, rejects):
    partition(
        shop,
        f"img/{QUERY}.jpg id_00000002 query",
        f"img/{QUERY}.jpg id_00000002 gallery",
        "img/WOMEN/Skirts/id_00000009/01_1_front.jpg id_00000009 train",
        f"img/{GALLERY}.jpg id_00000002 test",
        f"img/{GALLERY}.jpg id_00000002",
        f"img/{TRAIN}.jpg id 7 train",
        "img/../../../etc/passwd id_00000001 train",
        "/etc/passwd.jpg id_00000001 train",
    )
    reading, _, account = shop.read("inshop")
    assert [row["image_id"] for row in reading.items] == [QUERY]
    assert [row for row in rejects(account) if row[0] == "items"] == [
        ("items", "list_eval_partition.txt:4", "duplicate_row"),
        ("items", "list_eval_partition.txt:5", "missing_image"),
        ("items", "list_eval_partition.txt:6", "malformed_row"),
        ("items", "list_eval_partition.txt:7", "malformed_row"),
        ("items", "list_eval_partition.txt:8", "malformed_row"),
        ("items", "list_eval_partition.txt:9", "missing_image"),
        ("items", "list_eval_partition.txt:10", "missing_image"),
    ]
    assert [key for table, key, reason in rejects(account) if reason == "no_annotation"] == [
        f"Img/img_highres/{TRAIN}",
        f"Img/img_highres/{GALLERY}",
    ]
    assert account.notes["partition"] == {"query": 1, "train without image": 3}


def test_malformed_boxes_are_on_record(shop, rejects):
    rows = [
        f"img/{QUERY}.jpg 3 1 a 10 20 30",
        f"img/{TRAIN}.jpg 9 1 1 10 20 30",
        f"img/{TRAIN}.jpg 1 1 10 20 30",
        f"img/{QUERY}.jpg 3 1 inf 10 20 30",
        f"img/{QUERY}.jpg 3 1 1 10 20 30",
        f"img/{QUERY}.jpg 3 1 2 10 20 30",
        "img/nobody.jpg 3 1 1 10 20 30",
    ]
    shop.text("Anno/list_bbox_inshop.txt", "\n".join(["7", BOXES, *rows]) + "\n")
    _, _, account = shop.read("inshop")
    assert [reason for table, _, reason in rejects(account) if table == "objects"] == [
        "malformed_box", "malformed_row", "malformed_row", "malformed_box", "duplicate_row", "missing_image",
    ]  # fmt: skip


def test_count_that_is_not_that_of_the_rows_is_noted_and_said(shop, capsys):
    partition(shop, f"img/{QUERY}.jpg id_00000002 query", count=52712)
    reading, _, account = shop.read("inshop")
    assert len(reading.items) == 1
    assert account.notes["list_eval_partition.txt"] == {"rows": 1, "rows that line 1 says": 52712}
    assert "line 1 says 52712 rows, there are 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\nimg/a.jpg id_1 query\n", "line 1: found 'image_name item_id evaluation_status', expected the nu"),
        ("1\nimg/a.jpg id_1 query\n", "line 2: found 'img/a.jpg id_1 query', expected 'image_name item_id eval"),
        ("", "line 1: found '', expected the number of rows"),
        (b"1\n\xff\xfe\n", "not text in UTF-8"),
    ],
)
def test_list_that_does_not_start_as_upstreams_is_one_message(shop, text, message):
    shop.text("Eval/list_eval_partition.txt", text)
    with pytest.raises(StageError, match=message):
        shop.read("inshop")


def test_missing_partition_or_image_folder_is_one_message(shop):
    (shop.root / "Img").rename(shop.root / "Pictures")
    with pytest.raises(StageError, match=r"no image folder in .*Found there: Anno, Eval, Pictures"):
        shop.read("inshop")
    shop.remove("Eval/list_eval_partition.txt")
    with pytest.raises(StageError, match="no list_eval_partition.txt"):
        shop.read("inshop")


def test_without_the_list_of_boxes_images_are_read_without_boxes(shop, capsys):
    shop.remove("Anno/list_bbox_inshop.txt")
    reading, _, account = shop.read("inshop")
    assert (len(reading.images), reading.objects) == (3, [])
    assert account.notes["list_bbox_inshop.txt"] == {"missing": "images have no boxes"}
    assert "no list_bbox_inshop.txt" in capsys.readouterr().err


def test_ids_are_compared_with_the_list_of_ids(shop):
    shop.text("Anno/list_item_inshop.txt", "2\nid_00000002\nid_00000099\n")
    _, _, account = shop.read("inshop")
    assert account.notes["items"] == {
        "ids": 2, "ids in query and gallery": 1, "ids in train": 1, "ids in train and in query or gallery": 0,
        "ids not listed": 1, "listed ids without image": 1,
    }  # fmt: skip


def test_paths_are_found_whatever_their_capitals(shop):
    partition(shop, f"img/{QUERY.lower()}.jpg id_00000002 query")
    assert [row["image_id"] for row in shop.read("inshop")[0].items] == [QUERY]
