"""The lists that DeepFashion's readers share: counts, headers, boxes, and images by the names that lists give them."""

import pytest

from stages.core.errors import StageError
from stages.ingest.readers.deepfashion_lists import (
    ImageRows,
    category_name,
    find_list,
    list_images,
    list_rows,
    need_list,
    read_boxes,
    reject_unnamed,
    rows_stated,
    status_counts,
    text_lines,
)
from stages.ingest.reading import ImageFile, Reading

BOX_COLUMNS = ("image_name", "clothes_type", "pose_type", "x_1", "y_1", "x_2", "y_2")


@pytest.fixture
def request_of(tree):
    return tree.request("inshop")


def noted(request):
    return request.account.notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", "Anorak"), ("50", "Sundress"), ("18", "Tee"), ("0", None), ("51", None), ("x", None), ("-1", None)],
)
def test_category_by_its_number_from_one(text, expected):
    assert category_name(text) == expected


def test_rows_that_a_list_says_it_has(tmp_path):
    assert rows_stated(tmp_path, " 12 ", "a  b", ("a", "b")) == 12
    with pytest.raises(StageError, match=r"line 1: found 'image_name', expected the number of rows"):
        rows_stated(tmp_path, "image_name", "", ())
    with pytest.raises(StageError, match=r"line 2: found 'b a', expected 'a b'"):
        rows_stated(tmp_path, "2", "b a", ("a", "b"))


def test_lines_end_as_any_system_ends_them_and_nowhere_else(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("a\r\nb\rc\nd\u2028e".encode())
    assert text_lines(path) == ["a", "b", "c", "d\u2028e"]
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StageError, match="not text in UTF-8"):
        text_lines(path)


def test_rows_have_their_line_and_a_wrong_count_is_noted(tree, request_of):
    tree.text("list.txt", "3\nname number\na 1\n\nb 2\n")
    path = need_list(request_of, "a list", "lists/list.txt", "list.txt")
    assert list_rows(request_of, path, ("name", "number")) == [("list.txt:3", ["a", "1"]), ("list.txt:5", ["b", "2"])]
    assert noted(request_of)["list.txt"] == {"rows": 2, "rows that line 1 says": 3}


def test_first_list_that_is_there_is_taken(tree, request_of):
    tree.text("b.txt", "0\n")
    tree.text("c.txt", "0\n")
    assert find_list(request_of.files, "a.txt", "b.txt", "c.txt") == tree.root / "b.txt"
    assert find_list(request_of.files, "a.txt") is None
    with pytest.raises(
        StageError, match=r"source src: no a.txt in .* \(looked for Anno/a.txt, a.txt\). Expected upstream's"
    ):
        need_list(request_of, "upstream's", "Anno/a.txt", "a.txt")


def test_images_are_found_by_the_names_of_lists_also_unpacked_one_folder_deeper(tree, request_of):
    tree.image("Img/img/img/Tee/1.jpg", seed=1)
    images = list_images(request_of, "a tree")
    assert images.folder == "Img/img/img" and not images.high_resolution
    assert images.find("img/Tee/1.jpg") == "Tee/1"
    assert images.find("img/Tee/2.jpg") is None
    assert images.match("img/Tee/2.jpg").reason == "missing_image"
    assert noted(request_of)["read from"] == {"images": "Img/img/img"}


def test_tree_without_an_image_folder_is_one_message(tree, request_of):
    tree.text("readme.txt", "")
    with pytest.raises(StageError, match=r"no image folder .*looked for Img/img, img, .*Found there: readme.txt"):
        list_images(request_of, "a tree")


def test_images_that_no_list_names_are_rejected(tree, request_of):
    for seed, name in enumerate("ab"):
        tree.image(f"img/{name}.jpg", seed=seed)
    reject_unnamed(request_of, list_images(request_of, "a tree"), {"a"})
    ledger = request_of.account.ledger("images")
    assert ledger.rows_in == 2
    assert [(row.key, row.reason) for row in ledger.rejects] == [("img/b", "no_annotation")]


def test_statuses_are_noted_with_and_without_their_image(request_of):
    status_counts(request_of, "partition", {"train": 3, "test": 0}, {"train": 1})
    assert noted(request_of)["partition"] == {"train": 3, "train without image": 1}


@pytest.fixture
def boxes(tree, request_of):
    """``read(lines)``: boxes of images a and b by a list with these rows."""
    for seed, name in enumerate("ab"):
        tree.image(f"img/{name}.jpg", seed=seed)

    def read(*lines, folder="img"):
        tree.text(
            "Anno/list_bbox.txt", f"{len(lines)}\n{' '.join(BOX_COLUMNS)}\n" + "".join(f"{one}\n" for one in lines)
        )
        images = list_images(request_of, "a tree", folders=(folder,))
        reading = Reading(images=[ImageFile(name, images.paths[name]) for name in "ab"])
        further = read_boxes(request_of, reading, images, "a tree", ["Anno/list_bbox.txt"], BOX_COLUMNS)
        return reading, further, [(row.key, row.reason) for row in request_of.account.ledger("objects").rejects]

    return read


def test_box_of_each_image_with_its_layer_and_further_columns(boxes):
    reading, further, rejects = boxes("img/a.jpg 1 2 10 20 30 40", "img/b.jpg 3 1 0 0 9 9")
    assert [(row["object_id"], row["class_name"], row["x1"], row["y2"]) for row in reading.objects] == [
        ("a:1", "upper", 10, 40), ("b:1", "full", 0, 9),
    ]  # fmt: skip
    assert further == {"a": {"clothes_type": "1", "pose_type": "2"}, "b": {"clothes_type": "3", "pose_type": "1"}}
    assert rejects == []


def test_rows_that_are_no_box_are_on_record_and_their_images_are_no_background(boxes):
    reading, _, rejects = boxes(
        "img/a.jpg 9 2 10 20 30 40",  # no such layer
        "img/b.jpg 1 2 10 20 30 x",
        "img/gone.jpg 1 2 10 20 30 40",
        "img/b.jpg 1 2 1 2 3 4",
        "img/b.jpg 1 2 1 2 3 4",
    )
    assert rejects == [
        ("list_bbox.txt:3", "malformed_row"), ("list_bbox.txt:4", "malformed_box"), ("list_bbox.txt:5", "missing_image"),
        ("list_bbox.txt:7", "duplicate_row"),
    ]  # fmt: skip
    assert [row["object_id"] for row in reading.objects] == ["b:1"]
    assert reading.lost == {"a", "b"}


def test_pictures_in_high_resolution_have_no_boxes(tree, boxes):
    for seed, name in enumerate("ab"):
        tree.image(f"img_highres/{name}.jpg", seed=seed)
    reading, further, _ = boxes("img/a.jpg 1 2 10 20 30 40", folder="img_highres")
    assert reading.objects == [] and further == {}


def test_image_is_in_one_row(tree, request_of):
    tree.image("img/a.jpg", seed=1)
    reading = Reading()
    rows = ImageRows(request_of, reading, list_images(request_of, "a tree"))
    row = rows.add("list:3", "img/a.jpg", "train")
    row["category"] = "Tee"
    assert rows.add("list:4", "img/a.jpg", "train") is None and rows.add("list:5", "img/b.jpg", "test") is None
    assert reading.items == [
        {"item_id": "a", "image_id": "a", "status": "train", "category": "Tee", "attributes": None}
    ]
    assert [(image.image_id, image.split) for image in reading.images] == [("a", "train")]
    rejects = request_of.account.ledger("items").rejects
    assert [(row.key, row.reason) for row in rejects] == [("list:4", "duplicate_row"), ("list:5", "missing_image")]
