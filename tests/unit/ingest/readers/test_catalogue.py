"""The generic catalogue, in the format of clothing-dataset."""

import csv
from collections import Counter

import pyarrow.parquet as pq
import pytest
from places import ROOT
from trees import account

from stages.contracts.tables import hash_split
from stages.core.errors import StageError
from stages.ingest.splitting import decide_splits

REAL = ROOT.parent / "shared/real"
TABLE = "image,sender_id,label,kids\na1,7,T-Shirt,False\nb2,7,Pants,True\nc3,9,Hat,False\n"


@pytest.fixture
def photos(tree):
    def draw(table=TABLE, images="abc", boxes=None, splits=None):
        tree.text("images.csv", table)
        for number, letter in enumerate(images, start=1):
            tree.image(f"images/{letter}{number}.jpg", seed=number)
        options = dict(tree.catalogue)
        if boxes is not None:
            tree.annotation("boxes.csv", boxes)
            options["boxes"] = "boxes.csv"
        if splits is not None:
            tree.annotation("splits.csv", splits)
            options["splits"] = "splits.csv"
        return tree.read("catalogue", catalogue=options)

    return draw


def test_rows_become_items_with_their_columns_and_groups(photos):
    reading, ledgers, _ = photos()
    assert reading.items[0] == {"item_id": "a1", "image_id": "a1", "group": "7", "label": "T-Shirt", "kids": "False"}
    assert [image.group for image in reading.images] == ["7", "7", "9"]
    assert ledgers["items"]["rows_in"] == 3


def test_groups_without_a_splits_file_are_split_by_hash(photos):
    reading, _, _ = photos()
    splits, _ = decide_splits(reading.images, {image.image_id: image.image_id for image in reading.images})
    assert list(splits.values()) == [hash_split("7"), hash_split("7"), hash_split("9")]


def test_splits_file_decides_for_the_groups_that_it_names(photos):
    reading, _, _ = photos(splits="sender_id,split\n7,test\n")
    assert [image.split for image in reading.images] == ["test", "test", ""]  # empty: the hash of the group decides


def test_rows_without_a_group_are_groups_of_their_own(photos):
    """An empty sender is nobody: those photos must not all fall into the one split of the empty name."""
    table = "image,sender_id,label,kids\n" + "".join(f"x{n},,Hat,False\n" for n in range(1, 41))
    reading, _, _ = photos(table=table, images="x" * 40)
    splits = Counter(image.split or hash_split(image.group or image.image_id) for image in reading.images)
    assert len(splits) > 1, splits


def test_missing_file_file_without_row_and_duplicate_row_are_rejected(photos, rejects):
    table = TABLE + "a1,7,T-Shirt,False\nzz,9,Skip,False\n"
    reading, ledgers, account = photos(table=table, images="abcd")
    assert rejects(account) == [
        ("images", "images/d4.jpg", "no_annotation"),
        ("items", "images.csv:5", "duplicate_row"),
        ("items", "images.csv:6", "missing_image"),
    ]
    assert (ledgers["items"]["rows_in"], ledgers["images"]["rows_in"], len(reading.items)) == (5, 4, 3)


def test_names_with_the_suffix_are_the_same_images(photos):
    reading, _, _ = photos(table=TABLE.replace("a1,", "a1.jpg,"))
    assert reading.items[0]["item_id"] == "a1"


def test_boxes_are_read_with_the_class_of_the_wanted_column(photos, rejects):
    boxes = "image,label,superclass,x1,y1,x2,y2\na1,T-Shirt,top,1,2,30,40\na1,Pants,bottom,3,4,5,6\nzz,Hat,headwear,1,1,2,2\nb2,Pants,bottom,1,,3,4\n"
    reading, ledgers, account = photos(boxes=boxes)
    assert [(row["object_id"], row["class_name"], row["x2"]) for row in reading.objects] == [
        ("a1:1", "top", 30),
        ("a1:2", "bottom", 5),
    ]
    assert [row for row in rejects(account) if row[0] == "objects"] == [
        ("objects", "boxes.csv:4", "missing_image"),
        ("objects", "boxes.csv:5", "malformed_box"),
    ]
    assert ledgers["objects"]["rows_in"] == 4


def test_wrong_column_name_is_one_message_with_what_there_is(photos):
    with pytest.raises(
        StageError, match=r"images.csv: no column sender_id; it has image, kids, label, sender .*Correct"
    ):
        photos(table=TABLE.replace("sender_id", "sender"))
    with pytest.raises(StageError, match=r"boxes.csv: no column superclass"):
        photos(boxes="image,label,x1,y1,x2,y2\na1,Hat,1,1,2,2\n")


def test_unknown_split_is_one_message_with_the_line(photos):
    with pytest.raises(StageError, match=r"splits.csv, line 3: split 'dev'; expected one of test, train, val"):
        photos(splits="sender_id,split\n7,test\n9,dev\n")


def test_missing_and_empty_table_are_one_message(tree, photos):
    with pytest.raises(StageError, match="a header but no rows"):
        photos(table="image,sender_id,label,kids\n")
    tree.remove("images.csv")
    with pytest.raises(StageError, match=r"images.csv: no such file. Expected a table with columns image, sender_id"):
        tree.read("catalogue")


def test_table_in_the_encoding_of_excel_on_windows_is_read(photos):
    reading, _, _ = photos(table=TABLE.replace("Hat", "Mütze").encode("cp1252"))
    assert reading.items[2]["label"] == "Mütze"


def test_file_that_is_no_table_is_one_message(tree, photos):
    with pytest.raises(StageError, match="images.csv: not text in an encoding that is known"):
        photos(table=bytes(range(256)) * 8)


def test_byte_order_mark_and_windows_line_ends_are_read(photos):
    reading, _, _ = photos(table="\ufeff" + TABLE.replace("\n", "\r\n"))
    assert len(reading.items) == 3


def test_empty_options_name_the_key(tree):
    with pytest.raises(StageError, match="`ingest.src.catalogue` is empty"):
        tree.read("catalogue", catalogue=None)


@pytest.mark.skipif(not (REAL / "clothing-dataset").is_dir(), reason=f"the sample of clothing-dataset is not at {REAL}")
def test_real_sample_of_clothing_dataset_has_the_counts_of_its_readme(tree):
    """1,828 JPEGs, 1,804 rows of which one has no file, 25 files without a row, 801 boxes, 101 fixed senders."""
    from stages.contracts.ledger import Account
    from stages.ingest.readers import catalogue
    from stages.ingest.reading import IngestParams, Request

    options = tree.catalogue | {"boxes": "clothing-dataset-boxes.csv", "splits": "splits.csv"}
    params = IngestParams.model_validate(
        {"reader": "catalogue", "shards": 1, "min_side": 16, "duplicates": "drop", "near_hamming": 1, "near_color": 1,
         "max_pixels": 50_000_000, "val_share": 0.1, "voc": None, "shoes": None, "catalogue": options}
    )  # fmt: skip
    account = Account("photos")
    reading = catalogue.read(Request("photos", REAL / "clothing-dataset", REAL, REAL, params, account))
    ledgers = {name: ledger.summary() for name, ledger in account.ledgers.items()}
    assert (ledgers["items"]["rows_in"], ledgers["items"]["rejected"]) == (1804, {"missing_image": 1})
    assert (ledgers["images"]["rows_in"], ledgers["images"]["rejected"]) == (1828, {"no_annotation": 25})
    assert (ledgers["objects"]["rows_in"], len(reading.objects)) == (801, 801)
    with (REAL / "clothing-dataset/images.csv").open() as stream:
        files = {path.stem for path in (REAL / "clothing-dataset/images").iterdir()}
        rows = list(csv.DictReader(stream))
    assert len({row["sender_id"] for row in rows}) == 101
    with_file = [row for row in rows if row["image"] in files]
    assert Counter(row["label"] for row in reading.items) == Counter(row["label"] for row in with_file)
    with (REAL / "splits.csv").open() as stream:
        splits = {row["sender_id"]: row["split"] for row in csv.DictReader(stream)}
    assert {image.image_id: image.split for image in reading.images} == {
        row["image"]: splits[row["sender_id"]] for row in with_file
    }


def test_an_address_names_the_file_at_its_end(photos):
    """What shops' exports hold: the photo was downloaded from there."""
    table = TABLE.replace("a1,", "https://cdn.shop.example/x/a1.jpg?v=17,").replace(
        "b2,", "http://s.example/%62%32.jpg,"
    )
    reading, _, _ = photos(table=table)
    assert [item["item_id"] for item in reading.items] == ["a1", "b2", "c3"]


EXCEL = [
    ("image", "sender_id", "label", "kids"),
    ("001.jpg", "p1", "T\u00e9e, blue", "False"),
    ("1e3", "p2", "NA", "no"),
]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\n".join('"' + '","'.join(row) + '"' for row in EXCEL), "utf-8-sig"),
        ("\r\n".join(";".join(row) for row in EXCEL), "utf-8-sig"),  # Excel in most of Europe
        ("sep=;\r\n" + "\r\n".join(";".join(row) for row in EXCEL), "utf-8"),
        ("\r\n".join("\t".join(row) for row in EXCEL), "utf-16"),  # Excel's "Unicode text"
        ("\r\n".join(";".join(row) for row in EXCEL) + "\r\n;;;\r\n;;;\r\n", "utf-8"),  # rows that were emptied
        ("\r\n".join(";".join(f" {cell}" if row is EXCEL[0] else cell for cell in row) for row in EXCEL), "utf-8"),
    ],
)
def test_table_that_excel_wrote_is_read_with_every_value_as_it_stands(tree, text, encoding):
    tree.text("images.csv", text.encode(encoding))
    tree.image("images/001.jpg", seed=1)
    tree.image("images/1e3.jpg", seed=2)
    out = tree.stage("catalogue")
    rows = pq.read_table(out / "items.parquet").to_pylist()
    assert [(row["image_id"], row["group"], row["label"], row["kids"]) for row in rows] == [
        ("001", "p1", "T\u00e9e, blue", "False"), ("1e3", "p2", "NA", "no"),
    ]  # fmt: skip
    assert account(out)["items"]["rejected"] == {}
