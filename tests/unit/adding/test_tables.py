"""What `make add` takes from a table beside its labels, what a person may change, and what it says it leaves out."""

import re
from collections import Counter
from pathlib import Path

import pytest
from own_data import LABELS, picture, save

from stages.adding.add import add
from stages.contracts.tables import hash_split
from stages.core.errors import StageError

PROFILE, TABLE = Path("profiles/mystore.yaml"), Path("tables/mystore_labels.csv")


def numbered(header, *columns):
    """Rows of the shop: photo, and what each function gives for its number."""
    return header, [(f"p{n}.jpg", *(column(n) for column in columns)) for n in range(40)]


def label(n):
    return LABELS[n % 4]


def edit(path, old, new):
    """Replace text, wherever the file breaks its lines."""
    text, count = re.subn(re.escape(old).replace(r"\ ", r"\s+"), new, path.read_text())
    assert count
    path.write_text(text)


def splits_of(result):
    return {row["item_id"]: row["split"] for row in result.labels}


# the owner's own splits


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("split", ("train", "val", "test")),
        ("Subset", ("Training", "Validation", "TEST")),
        ("phase", ("train set", "dev", "testing")),
    ],
)
def test_the_owners_splits_are_used_whatever_the_column_and_its_values_are_called(shop, added, name, words):
    ours = [("train", "val", "test")[0 if n % 10 < 6 else 1 if n % 10 < 8 else 2] for n in range(40)]
    theirs = dict(zip(("train", "val", "test"), words, strict=True))
    save(shop / "items.csv", *numbered(["photo", "label", name], label, lambda n: theirs[ours[n]]))
    result = added("mystore", shop)
    assert splits_of(result) == {f"p{n}": ours[n] for n in range(40)}
    assert f"photos: 24 train, 8 val, 8 test; as your column `{name}` says" in result.said
    assert "bring none" not in result.said


def test_owners_splits_without_validation_keep_their_test_and_a_share_of_train_validates(shop, added):
    save(
        shop / "items.csv",
        *numbered(["photo", "label", "split"], label, lambda n: "test" if n % 4 == n // 10 else "train"),
    )
    found = splits_of(added("mystore", shop))
    assert {name for name, split in found.items() if split == "test"} == {
        f"p{n}" for n in range(40) if n % 4 == n // 10
    }
    assert set(found.values()) == {"train", "val", "test"}


def test_a_photo_of_which_the_owners_splits_say_nothing_gets_one_by_its_hash(shop, added):
    save(
        shop / "items.csv",
        *numbered(["photo", "label", "split"], label, lambda n: ["train", "val", "test", ""][n // 10]),
    )
    found = splits_of(added("mystore", shop))
    assert [found[f"p{n}"] for n in range(30, 40)] == [hash_split(f"p{n}") for n in range(30, 40)]
    assert found["p9"] == "train" and found["p29"] == "test"


def test_a_column_that_is_called_split_and_says_something_else_is_named_with_the_reason(shop, added):
    save(shop / "items.csv", *numbered(["photo", "label", "fold"], label, lambda n: n % 5))
    said = " ".join(added("mystore", shop).said.split())
    assert (
        "by a hash of the photo, as column `fold` is no split (it has 0, 1, 2, 3 and 1 more, expected train, val"
        in said
    )


def test_groups_that_the_owners_splits_cut_through_are_counted(shop, added):
    save(shop / "items.csv", *numbered(["photo", "label", "sender", "split"], label, lambda n: f"d{n // 4}",
                                       lambda n: ["train", "val", "test"][n % 3]))  # fmt: skip
    said = " ".join(added("mystore", shop).said.split())
    assert "10 of 10 groups have photos in several splits" in said and "never cross splits" not in said


def test_a_value_that_is_no_split_stops_a_profile_that_names_the_column(shop, project):
    save(shop / "items.csv", *numbered(["photo", "label", "split"], label, lambda n: ["train", "val", "test"][n % 3]))
    add("mystore", shop, None)
    edit(PROFILE, "mystore", "mystore")
    PROFILE.write_text(PROFILE.read_text() + "# mine\n")
    edit(shop / "items.csv", "p7.jpg,Sneakers,val", "p7.jpg,Sneakers,gallery")
    with pytest.raises(StageError, match=r"line 9: `split` is 'gallery'; expected train, val or test, or nothing"):
        add("mystore", shop, None)


# a wrong guess


TWO = (["photo", "category", "type", "sender", "batch_id"], lambda n: label(n), lambda n: f"{label(n)} {n % 3}",
       lambda n: f"d{n // 4}", lambda n: f"b{n // 2}")  # fmt: skip


def test_columns_that_a_person_changed_in_the_profile_are_used(shop, added):
    save(shop / "items.csv", *numbered(*TWO))
    assert "column `type`" in add("mystore", shop, None)
    edit(PROFILE, "item_columns: [type]", "item_columns: [category]")
    edit(PROFILE, "label_column: type", "label_column: category")
    edit(PROFILE, "group_column: sender", "group_column: batch_id")
    before = PROFILE.read_text()
    result = added("mystore", shop)
    assert "column `category`: 4 different" in result.said and "column `batch_id`: 20 different" in result.said
    assert Counter(row["type"] for row in result.labels) == dict.fromkeys(LABELS, 10)
    assert {row["group_id"] for row in result.labels} == {f"b{n}" for n in range(20)}
    assert PROFILE.read_text() == before and "stays as it is; its columns were used" in " ".join(result.said.split())
    assert TABLE.read_text().startswith("category,superclass")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_column: photo", "image_column: picture", r"`image_column` names 'picture', and .*items.csv has no such column; it "
         "has batch_id, category, photo, sender, type. Correct it there, or delete the file"),
        ("group_column: sender", "group_column: seller", "`group_column` names 'seller'"),
        ("item_columns: [type]", "item_columns: [kind]", "`item_columns` names 'kind'"),
        ("label_column: type", "label_column: category", "`label_column` of section labels is 'category', and `item_columns` .* "
         r"are type. Write the label's column in both"),
        ("table: items.csv", "table: other.csv", "`table` is 'other.csv', and .* has no such file"),
        ("reader: catalogue", "reader: kitchen", "ingest.mystore.reader"),
        ("reader: catalogue\n", "", "`ingest.mystore.reader` is missing"),
    ],
)  # fmt: skip
def test_a_column_that_a_person_wrote_and_that_is_not_there_is_one_message(shop, project, old, new, message):
    save(shop / "items.csv", *numbered(*TWO))
    add("mystore", shop, None)
    edit(PROFILE, old, new)
    with pytest.raises(StageError, match=message):
        add("mystore", shop, None)


def test_another_table_than_the_edited_profiles_is_one_message(shop, project):
    save(shop / "items.csv", *numbered(*TWO))
    add("mystore", shop, Path("items.csv"))
    edit(PROFILE, "group_column: sender", "group_column: batch_id")
    save(shop / "more.csv", *numbered(*TWO))
    assert "batch_id" in add("mystore", shop, Path("items.csv"))
    with pytest.raises(
        StageError, match=r"TABLE is .*more.csv, and profiles/mystore.yaml, which was edited, names items"
    ):
        add("mystore", shop, Path("more.csv"))


def test_superclasses_that_a_person_chose_are_not_lost_to_another_label_column(shop, project):
    save(shop / "items.csv", *numbered(*TWO))
    add("mystore", shop, None)
    edit(TABLE, "Dress 0,dress", "Dress 0,top")
    edit(PROFILE, "item_columns: [type]", "item_columns: [category]")
    edit(PROFILE, "label_column: type", "label_column: category")
    with pytest.raises(StageError, match=r"is of column `type`, with superclasses that you chose \(Dress 0\)"):
        add("mystore", shop, None)
    assert "Dress 0,top" in TABLE.read_text()


def test_a_group_column_that_needs_a_splits_file_says_so_and_gets_one(shop, added):
    names = [name for name in (f"x{number}" for number in range(99)) if hash_split(name) == "train"][:12]
    save(shop / "items.csv", *numbered(["photo", "label", "sender", "lot"], label, lambda n: f"d{n // 4}",
                                       lambda n: names[n % 12]))  # fmt: skip
    add("mystore", shop, None)
    edit(PROFILE, "group_column: sender", "group_column: lot")
    with pytest.raises(StageError, match="write `splits: splits.csv` into its `catalogue`"):
        add("mystore", shop, None)
    edit(PROFILE, "group_column: lot", "group_column: lot, splits: splits.csv")
    result = added("mystore", shop)
    assert Path("data/mystore/annotations/splits.csv").read_text().startswith("lot,split")
    assert set(splits_of(result).values()) == {"train", "val", "test"}


def test_a_splits_file_of_another_group_column_is_one_message(shop, project):
    save(shop / "items.csv", *numbered(["photo", "label", "sender"], label, lambda n: f"d{n // 4}"))
    Path("data/mystore/annotations").mkdir(parents=True)
    Path("data/mystore/annotations/splits.csv").write_text("lot,split\nx,test\n")
    with pytest.raises(StageError, match="splits.csv is by lot, and photos are now grouped by `sender`. Remove it"):
        add("mystore", shop, None)


# columns that are called label


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda n: f"unique {n}", "it has 40 different values in 40 rows, and a label is shared by several photos"),
        (lambda n: "", "it is empty in every row"),
        (lambda n: "Hat", "it is 'Hat' in every row that has one"),
        (lambda n: f"{n % 3} {'long ' * 12}", "its values are longer than 40 letters"),
    ],
)
@pytest.mark.parametrize("name", ["label", "Class"])
def test_a_column_called_label_that_holds_none_is_not_taken_and_the_reason_is_said(shop, project, name, value, why):
    save(shop / "items.csv", *numbered(["photo", name], value))
    with pytest.raises(StageError, match=f"no column looks like labels.* `{name}` holds none: {why}"):
        add("mystore", shop, None)
    save(shop / "items.csv", *numbered(["photo", name, "garment"], value, label))
    said = " ".join(add("mystore", shop, None).split())
    assert "column `garment`: 4 different" in said and f"column `{name}` is not taken: {why}" in said


def test_labels_that_are_numbers_are_taken_where_the_column_says_so_and_need_superclasses(shop, project):
    save(shop / "items.csv", *numbered(["photo", "label"], lambda n: n % 4))
    said = " ".join(add("mystore", shop, None).split())
    assert "column `label`: 4 different" in said
    assert "give labels a superclass in tables/mystore_labels.csv: without any nothing is learned" in said


def test_rows_without_a_label_are_counted(shop, project):
    save(shop / "items.csv", *numbered(["photo", "label"], lambda n: label(n) if n % 5 else ""))
    assert "column `label`: 4 different, and 8 of 40 rows without one" in add("mystore", shop, None)


def test_a_box_tables_class_is_a_column_that_holds_one(shop, project):
    save(shop / "items.csv", *numbered(["photo", "garment"], label))
    boxes = numbered(["image", "label", "name", "x1", "y1", "x2", "y2"], lambda n: "", label, *[lambda n: 4] * 2,
                     *[lambda n: 40] * 2)  # fmt: skip
    save(shop / "boxes.csv", *boxes)
    add("mystore", shop, None)
    assert "boxes_class_column: name" in PROFILE.read_text()
    save(shop / "boxes.csv", boxes[0], [(row[0], "", "", *row[3:]) for row in boxes[1]])
    with pytest.raises(StageError, match="boxes without a class; .* Name a column that has one `label`"):
        add("mystore", shop, None)


def test_a_table_without_a_header_is_one_message(shop, project):
    save(shop / "items.csv", ("p0.jpg", "T-Shirt"), numbered([], label)[1][1:])
    with pytest.raises(StageError, match=r"the first line names an image \('p0.jpg'\), so the table has no header"):
        add("mystore", shop, None)
    (shop / "images" / "photo.jpg").write_bytes(picture(99))
    save(shop / "items.csv", *numbered(["photo", "label"], label))  # called as an image is, without its suffix
    assert "40 of 40 rows" in add("mystore", shop, None)


# what is left out


def test_photos_that_are_left_out_are_counted_with_the_reason_and_an_example(shop, added):
    for n in (40, 41, 42):
        (shop / "images" / f"p{n}.jpg").write_bytes(picture(n))  # that no row names
    (shop / "images" / "p3.jpg").write_bytes(b"<html>404</html>")
    (shop / "images" / "p4.jpg").write_bytes(picture(4)[:500])
    (shop / "images" / "p6.jpg").write_bytes(picture(5))  # a copy of p5
    (shop / "images" / "p9.svg").write_text("<svg/>")
    save(shop / "items.csv", *numbered(["photo", "label"], label))
    result = added("mystore", shop)
    said = " ".join(result.said.split())
    assert "3 images no_annotation (an image file that no annotation names), such as images/p40.jpg" in said
    assert "2 images corrupt_image (the image does not decode), such as p3.jpg: not an image of a kind that is" in said
    assert (
        "1 image duplicate_image (the same bytes as another image of this source, kept once), such as p6: same" in said
    )
    assert "1 image unread_format" in said
    # What ingest makes of them.
    assert result.account["images"]["rejected"] == {
        "no_annotation": 3, "corrupt_image": 2, "duplicate_image": 1, "unread_format": 1
    }  # fmt: skip
    splits = Counter(splits_of(result).values())
    assert f"photos: {splits['train']} train, {splits['val']} val, {splits['test']} test" in said
    assert sum(splits.values()) == 37


def test_photos_beside_the_class_folders_are_counted(shop, project):
    for n in range(36):
        (shop / label(n)).mkdir(exist_ok=True)
        (shop / "images" / f"p{n}.jpg").rename(shop / label(n) / f"p{n}.jpg")
    for n in range(36, 40):
        (shop / "images" / f"p{n}.jpg").rename(shop / f"p{n}.jpg")
    (shop / "images").rmdir()
    said = " ".join(add("mystore", shop, None).split())
    assert "4 .jpg outside of the folders that this format reads" in said


def test_where_all_annotations_were_rejected_the_message_says_why_and_not_to_add_photos(shop, project):
    (shop / "labels").mkdir()
    (shop / "classes.txt").write_text("Dress\n")  # labelImg wrote it anew, with the last class alone
    for n in range(40):
        (shop / "labels" / f"p{n}.txt").write_text(f"{n % 4 + 1} 0.5 0.5 0.5 0.5\n")
    with pytest.raises(StageError) as error:
        add("mystore", shop, None)
    assert "Rejected were 40 objects malformed_box (no box: expected four finite numbers" in str(error.value)
    assert "such as labels/p0.txt:1: class 1, expected 0 to 0" in str(error.value)
    assert "Mend these, or add photos" in str(error.value)


def test_a_link_that_leads_nowhere_is_a_warning(shop, project):
    (shop / "images" / "gone.jpg").symlink_to(shop / "nowhere.jpg")
    (shop / "notes").symlink_to(shop / "nowhere")
    save(shop / "items.csv", *numbered(["photo", "label"], label))
    said = " ".join(add("mystore", shop, None).split())
    assert (
        "WARNING images/gone.jpg, notes: links that lead nowhere, at which DVC stops in make repro: remove them" in said
    )
