"""Consumer-to-Shop: pairs become photos that are read once, with upstream's own validation split."""

import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError

HEADER = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
BOXES = "image_name clothes_type source_type x_1 y_1 x_2 y_2"
TEE, SUIT = "TOPS/T_Shirt/id_00000001", "CLOTHING/Summer_Wear/id_00000002"
C1, C2, S1, S2 = f"{TEE}/comsumer_01", f"{TEE}/comsumer_02", f"{TEE}/shop_01", f"{TEE}/shop_02"
C3, S3 = f"{SUIT}/comsumer_01", f"{SUIT}/shop_01"


def partition(tree, *rows):
    text = "\n".join([str(len(rows)), HEADER, *rows]) + "\n"
    tree.text("Eval/list_eval_partition.txt", text)


def pair(consumer, shop, item, status):
    return f"img/{consumer}.jpg      img/{shop}.jpg   {item}    {status}"


@pytest.fixture
def street(tree):
    for seed, name in enumerate((C1, C2, S1, S2, C3, S3)):
        tree.image(f"Img/img/{name}.jpg", seed=seed)
    partition(
        tree,
        pair(C1, S1, "id_00000001", "test"),
        pair(C1, S2, "id_00000001", "test"),
        pair(C2, S1, "id_00000001", "test"),
        pair(C3, S3, "id_00000002", "val"),
    )
    tree.text("Anno/list_bbox_consumer2shop.txt", f"2\n{BOXES}\nimg/{S1}.jpg 1 1 2 3 40 41\nimg/{C1}.jpg 2 2 1 2 30 40")
    return tree


def test_a_photo_of_many_pairs_is_read_once(street):
    reading, ledgers, _ = street.read("consumer_to_shop")
    rows = {row["image_id"]: (row["item"], row["role"], row["status"], row["category"]) for row in reading.items}
    assert rows == {
        C1: ("id_00000001", "consumer", "test", "TOPS/T_Shirt"),
        C2: ("id_00000001", "consumer", "test", "TOPS/T_Shirt"),
        S1: ("id_00000001", "shop", "test", "TOPS/T_Shirt"),
        S2: ("id_00000001", "shop", "test", "TOPS/T_Shirt"),
        C3: ("id_00000002", "consumer", "val", "CLOTHING/Summer_Wear"),
        S3: ("id_00000002", "shop", "val", "CLOTHING/Summer_Wear"),
    }
    assert (ledgers["pairs"]["rows_in"], ledgers["pairs"]["rows_kept"], ledgers["items"]["rows_in"]) == (4, 4, 6)
    assert {(image.split, image.group) for image in reading.images} == {("test", "id_00000001"), ("val", "id_00000002")}


def test_the_stage_keeps_account_of_pairs_photos_and_boxes(street):
    out = street.stage("consumer_to_shop")
    boxes = {row["image_id"]: row for row in pq.read_table(out / "objects.parquet").to_pylist()}
    assert [boxes[S1][corner] for corner in ("x1", "y1", "x2", "y2")] == [2, 3, 40, 41]
    assert (boxes[S1]["class_name"], boxes[C1]["class_name"]) == ("upper", "lower")
    assert pq.read_table(out / "items.parquet").num_rows == 6


def test_high_resolution_folder_is_renamed_and_brings_no_boxes(street, capsys):
    (street.root / "Img/img/CLOTHING/Summer_Wear").rename(street.root / "Img/img/CLOTHING/Summer_Suit")
    (street.root / "Img/img").rename(street.root / "Img/img_highres")
    reading, ledgers, account = street.read("consumer_to_shop")
    assert {C3, S3} <= {image.image_id for image in reading.images}
    assert not reading.objects and "objects" not in ledgers
    assert account.notes["Img/img"] == {"missing": "images have no boxes"}


def test_pair_without_one_of_its_photos_is_on_record_and_the_other_stays(street, rejects):
    street.remove(f"Img/img/{S3}.jpg")
    reading, _, account = street.read("consumer_to_shop")
    assert ("pairs", "list_eval_partition.txt:6", "missing_image") in rejects(account)
    assert C3 in {image.image_id for image in reading.images}
    assert account.notes["partition"] == {"test": 3, "val without image": 1}


def test_photo_in_pairs_of_two_splits_counts_for_the_most_held_out(street):
    partition(street, pair(C1, S1, "id_00000001", "train"), pair(C2, S1, "id_00000001", "test"))
    reading, ledgers, _ = street.read("consumer_to_shop")
    assert {image.image_id: image.split for image in reading.images} == {C1: "train", S1: "test", C2: "test"}
    assert ledgers["items"]["repaired"] == {"two_statuses": 1}


def test_photo_of_two_items_or_two_roles_is_on_record(street, rejects):
    partition(
        street,
        pair(C1, S1, "id_00000001", "test"),
        pair(C2, S1, "id_00000009", "test"),
        pair(S1, S2, "id_00000001", "test"),
        f"img/{C1}.jpg id_00000001 test",
        pair(C1, S1, "id_00000001", "query"),
        pair(C3, C3, "id_00000002", "val"),
    )
    reading, ledgers, account = street.read("consumer_to_shop")
    assert [reason for table, _, reason in rejects(account) if table == "pairs"] == [
        "duplicate_row", "duplicate_row", "malformed_row", "malformed_row", "malformed_row",
    ]  # fmt: skip
    assert C3 not in {image.image_id for image in reading.images}  # paired with itself it is nobody's photo
    assert (ledgers["pairs"]["rows_in"], ledgers["pairs"]["rows_kept"]) == (6, 1)


def test_photos_that_no_pair_names_are_on_record(street, rejects):
    street.image("Img/img/TOPS/T_Shirt/id_00000008/shop_01.jpg", seed=9)
    _, _, account = street.read("consumer_to_shop")
    assert ("images", "Img/img/TOPS/T_Shirt/id_00000008/shop_01", "no_annotation") in rejects(account)


def test_in_shops_partition_in_this_place_is_one_message(street):
    street.text("Eval/list_eval_partition.txt", "1\nimage_name item_id evaluation_status\nimg/a.jpg id_1 query\n")
    with pytest.raises(StageError, match="line 2: found 'image_name item_id evaluation_status', expected 'image_pair_"):
        street.read("consumer_to_shop")
