"""DeepFashion-MultiModal: images whose label files hold fewer of them."""

import pytest

from stages.core.errors import StageError

BLOUSE = "WOMEN-Blouses_Shirts-id_00000001-02_1_front"
JEANS = "MEN-Denim-id_00000080-01_7_additional"
SHAPE = "3 3 0 0 0 0 1 0 0 4 1 0"


@pytest.fixture
def people(tree):
    tree.image(f"images/{BLOUSE}.jpg", seed=1)
    tree.image(f"images/{JEANS}.jpg", seed=2)
    tree.text("labels/texture/fabric_ann.txt", f"{BLOUSE}.jpg 1 0 7\n{JEANS}.jpg 1 0\n")  # the second line is short
    tree.text("labels/texture/pattern_ann.txt", f"{BLOUSE}.jpg 3 5 7\nMEN-Suiting-id_00000099-01_1_front.jpg 3 3 3\n\n")
    tree.text("labels/shape/shape_anno_all.txt", f"{BLOUSE}.jpg {SHAPE}\n{JEANS}.jpg 1 2 3\n")
    return tree


def test_codes_of_all_three_files_are_joined_by_name(people):
    rows = {row["item_id"]: row for row in people.read("deepfashion_mm")[0].items}
    row = rows[BLOUSE]
    assert [row[f"fabric_{layer}"] for layer in ("upper", "lower", "outer")] == ["1", "0", "7"]
    assert [row[f"pattern_{layer}"] for layer in ("upper", "lower", "outer")] == ["3", "5", "7"]
    assert row["shape"] == SHAPE
    assert row["file"] == f"{BLOUSE}.jpg"


def test_image_without_labels_keeps_its_row_with_unknown_values(people):
    row = {row["item_id"]: row for row in people.read("deepfashion_mm")[0].items}[JEANS]
    assert {row[key] for key in row if key not in ("item_id", "image_id", "file")} == {None}


def test_every_line_of_the_label_files_is_in_a_ledger(people):
    people.text(
        "labels/texture/fabric_ann.txt",
        f"{BLOUSE}.jpg 0 1 2\n{BLOUSE}.jpg 3 3 3\n\n{JEANS}.jpg 1 0\nNOBODY.jpg 1 1 1\n",
    )
    reading, _, account = people.read("deepfashion_mm")
    ledger = account.ledgers["fabric lines"]
    assert (ledger.rows_in, ledger.kept) == (4, 1)
    assert [(row.key, row.reason) for row in ledger.rejects] == [
        ("fabric_ann.txt:2", "duplicate_row"),
        ("fabric_ann.txt:4", "malformed_row"),
        ("fabric_ann.txt:5", "missing_image"),
    ]
    (top,) = [row for row in reading.items if row["item_id"] == BLOUSE]
    assert top["fabric_upper"] == "0"  # the first line counts


def test_label_file_that_is_no_text_is_one_message(people):
    people.text("labels/texture/fabric_ann.txt", b"caf\xe9.jpg 1 1 1\n")
    with pytest.raises(StageError, match="fabric_ann.txt: not text in UTF-8"):
        people.read("deepfashion_mm")


def test_missing_label_file_is_one_message(people):
    people.remove("labels/texture/pattern_ann.txt")
    with pytest.raises(StageError, match="no file pattern_ann.txt in it. Expected images"):
        people.read("deepfashion_mm")


def test_older_layout_with_labels_beside_the_images_is_read(people):
    target = people.root / "texture"
    target.mkdir()
    (people.root / "labels/texture/fabric_ann.txt").rename(target / "fabric_ann.txt")
    assert people.read("deepfashion_mm")[0].items[1]["fabric_upper"] == "1"


@pytest.mark.parametrize("folder", ["labels", "", "texture", "labels/texture"])
def test_texture_files_are_found_in_either_folder(people, folder):
    for name in ("fabric_ann.txt", "pattern_ann.txt"):
        target = people.root / folder / name
        target.parent.mkdir(exist_ok=True)
        (people.root / "labels/texture" / name).rename(target)
    row = people.read("deepfashion_mm")[0].items[1]
    assert (row["fabric_upper"], row["pattern_upper"]) == ("1", "3")
