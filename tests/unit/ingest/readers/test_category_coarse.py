"""The coarse layout of Category and Attribute Prediction: lists joined by name, attributes whose names hold spaces."""

import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError
from stages.ingest.readers.deepfashion_lists import CATEGORIES

TEE, DRESS, COAT = "Striped_Tee/img_00000001", "Maxi_Dress/img_00000001", "Wool_Coat/img_00000002"
NAMES = "\n".join(["50", "category_name category_type", *(f"{name}   1" for name in CATEGORIES)])


def listed(tree, name, header, *rows):
    tree.text(name, "\n".join([str(len(rows)), header, *rows]) + "\n")


@pytest.fixture
def web(tree):
    for seed, name in enumerate((TEE, DRESS, COAT)):
        tree.image(f"Img/img/{name}.jpg", seed=seed)
    listed(
        tree, "Eval/list_eval_partition.txt", "image_name evaluation_status",
        f"img/{TEE}.jpg     train", f"img/{DRESS}.jpg   val", f"img/{COAT}.jpg   test",
    )  # fmt: skip
    listed(
        tree, "Anno_coarse/list_category_img.txt", "image_name category_label",
        f"img/{DRESS}.jpg 41", f"img/{COAT}.jpg  39", f"img/{TEE}.jpg 18",
    )  # fmt: skip
    listed(tree, "Anno_coarse/list_attr_cloth.txt", "attribute_name attribute_type", "color block   1", "a-line  3")
    listed(
        tree, "Anno_coarse/list_attr_img.txt", "image_name attribute_labels",
        f"img/{TEE}.jpg  1 -1", f"img/{DRESS}.jpg  1  1", f"img/{COAT}.jpg  0 -1",
    )  # fmt: skip
    listed(
        tree, "Anno_coarse/list_bbox.txt", "image_name x_1 y_1 x_2 y_2",
        f"img/{TEE}.jpg 1 2 30 40", f"img/{DRESS}.jpg 3 4 50 48",
    )  # fmt: skip
    tree.text("Anno_coarse/list_category_cloth.txt", NAMES)
    return tree


def rows_of(reading):
    return {row["image_id"]: (row["status"], row["category"], row["attributes"]) for row in reading.items}


def test_lists_are_joined_by_name_whatever_their_order(web):
    reading, ledgers, _ = web.read("category_coarse")
    assert rows_of(reading) == {
        TEE: ("train", "Tee", "color block"),
        DRESS: ("val", "Dress", "color block|a-line"),
        COAT: ("test", "Coat", ""),
    }
    assert {image.image_id: image.split for image in reading.images} == {TEE: "train", DRESS: "val", COAT: "test"}
    assert [ledgers[name]["rows_kept"] for name in ("category lines", "attribute lines")] == [3, 3]


def test_the_stage_writes_boxes_in_pixels(web):
    rows = {row["image_id"]: row for row in pq.read_table(web.stage("category_coarse") / "objects.parquet").to_pylist()}
    assert [rows[TEE][corner] for corner in ("x1", "y1", "x2", "y2")] == [1, 2, 30, 40]
    assert rows[DRESS]["class_name"] == "garment" and COAT not in rows


def test_old_releases_have_one_folder_of_lists(web):
    (web.root / "Anno_coarse").rename(web.root / "Anno")
    assert rows_of(web.read("category_coarse")[0])[TEE] == ("train", "Tee", "color block")


def test_folders_spelled_with_other_capitals_are_found(web):
    (web.root / "Img/img/Striped_Tee").rename(web.root / "Img/img/striped_tee")
    reading, ledgers, _ = web.read("category_coarse")
    assert rows_of(reading)["striped_tee/img_00000001"] == ("train", "Tee", "color block")
    assert not ledgers["items"]["rejected"]


def test_malformed_lines_of_each_list_are_on_record(web, rejects):
    listed(
        web, "Anno_coarse/list_category_img.txt", "image_name category_label",
        f"img/{TEE}.jpg 51", f"img/{TEE}.jpg 0", f"img/{TEE}.jpg Tee", f"img/{TEE}.jpg", f"img/{TEE}.jpg 18",
        f"img/{TEE}.jpg 19", "img/nobody.jpg 3",
    )  # fmt: skip
    listed(
        web, "Anno_coarse/list_attr_img.txt", "image_name attribute_labels",
        f"img/{TEE}.jpg 1", f"img/{TEE}.jpg 1 2", f"img/{TEE}.jpg 1 1 1", "img/nobody.jpg 1 1",
        f"img/{TEE}.jpg -1 1", f"img/{TEE}.jpg 1 1",
    )  # fmt: skip
    reading, _, account = web.read("category_coarse")
    assert rows_of(reading)[TEE] == ("train", "Tee", "a-line")
    assert rows_of(reading)[COAT] == ("test", None, None)  # no line: unknown, the image stays
    assert [reason for table, _, reason in rejects(account) if table == "category lines"] == [
        *["malformed_row"] * 4, "duplicate_row", "missing_image",
    ]  # fmt: skip
    assert [reason for table, _, reason in rejects(account) if table == "attribute lines"] == [
        *["malformed_row"] * 3, "missing_image", "duplicate_row",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("attr_img", f"img/{TEE}.jpg 1 -1\n", "line 1: found .*expected the number of rows"),
        ("attr_img", f"1\nimg/{TEE}.jpg 1 -1\n", "line 2: found .*expected 'image_name attribute_labels'"),
        ("attr_cloth", "2\ncolor block 1\na-line 3\n", "line 2: found 'color block 1', expected 'attribute_name"),
        ("category_cloth", "\n".join(CATEGORIES), "line 1: found 'Anorak', expected the number of rows"),
    ],
)
def test_list_without_its_first_lines_is_one_message_and_loses_no_row(web, name, text, message):
    web.text(f"Anno_coarse/list_{name}.txt", text)
    with pytest.raises(StageError, match=rf"list_{name}\.txt, {message}"):
        web.read("category_coarse")


def test_cut_off_list_of_attributes_is_said(web, capsys):
    listed(web, "Anno_coarse/list_attr_img.txt", "image_name attribute_labels", f"img/{TEE}.jpg 1 -1")
    path = web.root / "Anno_coarse/list_attr_img.txt"
    path.write_text(path.read_text().replace("1\n", "289222\n", 1))
    _, _, account = web.read("category_coarse")
    assert account.notes["list_attr_img.txt"] == {"rows": 1, "rows that line 1 says": 289222}
    assert "list_attr_img.txt: line 1 says 289222 rows, there are 1" in capsys.readouterr().err


def test_without_attributes_or_boxes_images_are_read_and_the_account_says_so(web, capsys):
    web.remove("Anno_coarse/list_attr_img.txt")
    web.remove("Anno_coarse/list_bbox.txt")
    reading, _, account = web.read("category_coarse")
    assert rows_of(reading)[TEE] == ("train", "Tee", None) and not reading.objects
    assert account.notes["list_bbox.txt"] == {"missing": "images have no boxes"}
    assert capsys.readouterr().err.count("WARNING") == 2


def test_without_categories_nothing_is_read(web):
    web.remove("Anno_coarse/list_category_img.txt")
    with pytest.raises(StageError, match=r"no list_category_img.txt in .*Anno_coarse/list_category_img.txt, Anno/"):
        web.read("category_coarse")


def test_other_categories_than_upstreams_are_one_message(web):
    web.text("Anno_coarse/list_category_cloth.txt", NAMES.replace("Blazer", "Blazers"))
    with pytest.raises(StageError, match="line 4: category 2 is 'Blazers', expected 'Blazer'"):
        web.read("category_coarse")


def test_a_cut_off_partition_is_read_as_far_as_it_goes(web, capsys):
    web.text("Eval/list_eval_partition.txt", f"289222\nimage_name evaluation_status\nimg/{TEE}.jpg train\nimg/Max")
    reading, ledgers, account = web.read("category_coarse")
    assert set(rows_of(reading)) == {TEE}
    assert ledgers["items"]["rejected"] == {"malformed_row": 1}
    assert account.notes["list_eval_partition.txt"] == {"rows": 2, "rows that line 1 says": 289222}
    assert "line 1 says 289222 rows, there are 2" in capsys.readouterr().err
