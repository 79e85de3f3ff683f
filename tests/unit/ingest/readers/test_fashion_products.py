"""styles.csv as it was published: unquoted, with commas in names, and in several copies."""

import pytest
from trees import HEIC, account, shard_ids

from stages.core.errors import StageError

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
# Lines of upstream's file; 7399's name holds one comma more than there are columns.
TURTLE = "15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt"
NAMES = "39386,Men,Apparel,Bottomwear,Jeans,Blue,Summer,2012,Casual,Peter England, Party, Blue Jeans"
NOTHING = "59263,Women,Accessories,Watches,Watches,NA,Winter,2016.0,NA,Titan Women Silver Watch"


@pytest.fixture
def shop(tree):
    def draw(*lines, header=HEADER, end="\n", head="", images=(15970, 39386, 59263)):
        tree.text("styles.csv", head + end.join([header, *lines]) + end)
        for number in images:
            tree.image(f"images/{number}.jpg", seed=number)
        return tree

    return draw


def rows(reading):
    return {row["item_id"]: row for row in reading.items}


def test_columns_are_read_as_they_stand(shop):
    reading, ledgers, _ = shop(TURTLE).read("fashion_products")
    row = rows(reading)["15970"]
    assert row == {
        "item_id": "15970",
        "image_id": "15970",
        **dict(zip(HEADER.split(","), TURTLE.split(","), strict=True)),
    }
    assert ledgers["items"]["rows_in"] == 1


def test_extra_commas_belong_to_the_name_and_are_counted(shop):
    reading, ledgers, _ = shop(TURTLE, NAMES).read("fashion_products")
    assert rows(reading)["39386"]["productDisplayName"] == "Peter England, Party, Blue Jeans"
    assert rows(reading)["39386"]["usage"] == "Casual"
    assert ledgers["items"]["repaired"] == {"comma_in_last_column": 1}


def test_na_is_a_value_and_years_stay_as_written(shop):
    row = rows(shop(NOTHING).read("fashion_products")[0])["59263"]
    assert (row["baseColour"], row["usage"], row["year"]) == ("NA", "NA", "2016.0")


def test_copy_without_the_last_column_is_read(shop):
    short = HEADER.rsplit(",", 1)[0]
    reading, _, _ = shop(TURTLE.rsplit(",", 1)[0], header=short).read("fashion_products")
    assert rows(reading)["15970"]["usage"] == "Casual"
    assert "productDisplayName" not in rows(reading)["15970"]


def test_copy_of_nine_columns_with_windows_line_ends_mark_and_float_years_is_read(shop):
    tree = shop(
        *(line.rsplit(",", 1)[0] for line in (TURTLE, NOTHING)),
        header=HEADER.rsplit(",", 1)[0], end="\r\n", head="\ufeff",
    )  # fmt: skip
    reading, ledgers, _ = tree.read("fashion_products")
    row = rows(reading)["59263"]
    assert (row["year"], row["usage"], len(row)) == ("2016.0", "NA", 11)  # nine columns, item_id and image_id
    assert ledgers["items"]["rejected"] == {}


def test_surplus_field_without_the_column_of_names_is_no_part_of_usage(shop):
    tree = shop(TURTLE.rsplit(",", 1)[0], f"{NOTHING.rsplit(',', 1)[0]},Nike", header=HEADER.rsplit(",", 1)[0] + " ")
    reading, ledgers, _ = tree.read("fashion_products")
    assert len(reading.items) == 1
    assert ledgers["items"]["rejected"] == {"malformed_row": 1}
    assert ledgers["items"]["repaired"] == {}


def test_surplus_comma_is_on_record_with_its_line(shop):
    _, _, account = shop(TURTLE, NAMES).read("fashion_products")
    assert [(row.key, row.detail) for row in account.ledgers["items"].repairs] == [
        ("styles.csv:3", "12 fields, expected 10")
    ]


@pytest.mark.parametrize(("end", "head"), [("\r\n", ""), ("\n", "\ufeff"), ("\r\n", "\ufeff")])
def test_windows_line_ends_and_byte_order_mark_are_read(shop, end, head):
    reading, _, _ = shop(TURTLE, NOTHING, end=end, head=head).read("fashion_products")
    assert set(rows(reading)) == {"15970", "59263"}
    assert rows(reading)["59263"]["productDisplayName"] == "Titan Women Silver Watch"


def test_row_without_image_duplicate_and_damaged_line_are_rejected(shop, rejects):
    tree = shop(TURTLE, TURTLE, "12347,Men,a,b,c,d,e,2012,f,g", "39386,Men,Apparel", "x1,Men,a,b,c,d,e,2012,f,g", "")
    reading, ledgers, account = tree.read("fashion_products")
    assert [row for row in rejects(account) if row[0] == "items"] == [
        ("items", "styles.csv:3", "duplicate_row"),
        ("items", "styles.csv:4", "missing_image"),
        ("items", "styles.csv:5", "malformed_row"),
        ("items", "styles.csv:6", "malformed_row"),
    ]
    assert (ledgers["items"]["rows_in"], len(reading.items)) == (5, 1)


def test_image_without_row_is_counted(shop, rejects):
    _, ledgers, account = shop(TURTLE).read("fashion_products")
    assert set(rejects(account)) == {
        ("images", "images/39386.jpg", "no_annotation"),
        ("images", "images/59263.jpg", "no_annotation"),
    }
    assert ledgers["images"]["rows_in"] == 3


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x85"])
def test_odd_separator_inside_a_name_does_not_end_the_line(shop, separator):
    """Only CR and LF end a line of this file; str.splitlines knows eight more."""
    name = f"Turtle{separator}Shirt"
    reading, ledgers, _ = shop(TURTLE.rsplit(",", 1)[0] + "," + name).read("fashion_products")
    assert ledgers["items"]["rows_in"] == 1
    assert rows(reading)["15970"]["productDisplayName"] == name


@pytest.mark.parametrize("header", ["id,gender", "", HEADER.replace("usage", "use"), '"id","gender"'])
def test_another_header_is_one_message_with_found_and_expected(shop, header):
    with pytest.raises(StageError, match=r"styles.csv, line 1: found .*, expected 'id,gender,"):
        shop(TURTLE, header=header).read("fashion_products")


def test_missing_table_and_missing_folder_are_one_message(tree):
    with pytest.raises(StageError, match=r"no folder .*images"):
        tree.read("fashion_products")
    tree.image("images/1.jpg")
    with pytest.raises(StageError, match=r"no file .*styles.csv"):
        tree.read("fashion_products")


def test_styles_csv_finds_images_in_subfolders_of_any_suffix_and_names_the_rest(tree):
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"
    row = "{},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\n"
    tree.text("styles.csv", header + "".join(map(row.format, ("001", "2", "3"))))
    tree.image("images/a/001.JPEG", seed=1)
    tree.image("images/2.webp", seed=2, kind="WEBP")
    tree.text("images/3.jxl", HEIC)
    tree.text("styles/1.json", "{}")
    out = tree.stage("fashion_products")
    assert shard_ids(out) == ["2", "a/001"]
    assert account(out)["items"]["rejected"] == {"unread_format": 1}
    assert account(out)["notes"]["files that are not read"] == {".json": 1}


@pytest.mark.parametrize("folder", ["fashion-dataset", "myntradataset", "fashion-dataset/fashion-dataset"])
def test_styles_csv_is_found_where_its_archives_unpack_it(tree, folder):
    tree.text(
        f"{folder}/styles.csv",
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\r\n"
        "7,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\r\n",
    )
    tree.image(f"{folder}/images/7.jpg", seed=1)
    assert shard_ids(tree.stage("fashion_products")) == ["7"]
