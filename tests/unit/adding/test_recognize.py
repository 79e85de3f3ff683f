"""Which reader reads a folder, on small trees of each form, and what is asked for where none does."""

import json

import pytest
from own_data import picture
from places import TABLES

from stages.adding.recognize import recognize
from stages.adding.recognized import images_of
from stages.adding.superclasses import read_synonyms
from stages.core.errors import StageError
from stages.ingest.readers.fashion_products import COLUMNS

SYNONYMS = read_synonyms(TABLES)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


def draw(folder, *names):
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(seed))


def put(folder, name, text):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def reader_of(folder, table=None):
    return recognize(folder, table, SYNONYMS)


def test_classes_by_folder(folder):
    draw(folder, "Hats/1.jpg", "Shoes/2.jpg")
    found = reader_of(folder)
    assert (found.reader, found.label_column, found.boxes) == ("folders", "label", False)
    assert found.what == "a folder for each of 2 classes"
    draw(folder, "train/Hats/1.jpg", "train/Shoes/1.jpg", "test/Hats/2.jpg")
    assert reader_of(folder).what == "a folder for each of 2 classes, in test, train"


def test_yolo_by_its_data_yaml_or_its_classes(folder):
    draw(folder, "images/train/1.jpg")
    put(folder, "labels/train/1.txt", "0 .5 .5 .2 .2\n")
    with pytest.raises(StageError, match="no data.yaml. It names the classes"):
        reader_of(folder)
    put(folder, "classes.txt", "hat\n")
    assert (reader_of(folder).reader, reader_of(folder).boxes) == ("yolo", True)
    (folder / "classes.txt").unlink()
    put(folder, "data.yaml", "names: [hat]\ntrain: images/train\n")
    assert reader_of(folder).what == "a YOLO directory (data.yaml)"


@pytest.mark.parametrize(("said", "first"), [("VOC2007", 1), ("mine", 0)])
def test_voc_by_its_annotations_and_from_which_pixel_they_count(folder, said, first):
    draw(folder, "pictures/1.jpg")
    put(folder, "xml/1.xml", f"<annotation><folder>{said}</folder></annotation>")
    options = reader_of(folder).options
    assert options == {"voc": {"annotations": "xml", "images": "pictures", "first_pixel": first}}
    (folder / "pictures/1.jpg").rename(folder / "pictures/2.jpg")
    with pytest.raises(StageError, match="1 Pascal VOC files in xml/ and no image with the name of any"):
        reader_of(folder)


def test_coco_by_its_json(folder):
    draw(folder, "1.jpg")
    put(folder, "all.json", json.dumps({"images": [], "annotations": [], "categories": []}))
    assert (reader_of(folder).reader, reader_of(folder).what) == ("coco", "COCO JSON (all.json)")


def test_fashion_products_by_its_columns(folder):
    draw(folder, "images/1.jpg")
    put(folder, "styles.csv", ",".join(COLUMNS) + "\n1" + "," * (len(COLUMNS) - 1) + "\n")
    found = reader_of(folder)
    assert (found.reader, found.label_column, found.options) == ("fashion_products", None, {"duplicates": "keep"})


@pytest.mark.parametrize(
    ("files", "reader"),
    [
        (("train/annos/1.json", "train/image/x.txt"), "deepfashion2"),
        (("training/boots/x.txt", "annotations_boots.json"), "shoes"),
        (("labels/shape/shape_anno_all.txt", "labels/texture/fabric_ann.txt", "images/x.txt"), "deepfashion_mm"),
    ],
)
def test_published_trees_by_the_files_that_only_they_have(folder, files, reader):
    draw(folder, "images/1.jpg" if reader == "deepfashion_mm" else "train/image/1.jpg")
    for name in files:
        put(folder, name, "{}")
    assert reader_of(folder).reader == reader


@pytest.mark.parametrize(
    ("files", "reader"),
    [
        (["Anno_fine/train.txt"], "category_fine"),
        (["Anno_coarse/list_category_img.txt"], "category_coarse"),
        (["Eval/list_eval_partition.txt", "Anno/list_bbox_consumer2shop.txt"], "consumer_to_shop"),
        (["Eval/list_eval_partition.txt"], "inshop"),
        (["photos.txt", "photos/x.txt"], "fashion144k"),
    ],
)
def test_trees_of_benchmarks_have_no_labels_for_a_data_set(folder, files, reader):
    draw(folder, "img/1.jpg")
    for name in files:
        put(folder, name, "")
    with pytest.raises(StageError, match=f"Link it as data/raw/{reader}, and list {reader}"):
        reader_of(folder)


ROWS = "file,what,sender\n1.jpg,Hat,a\n2.jpg,Shoe,a\n3.jpg,Hat,b\n4.jpg,Shoe,b\n"


def test_catalogue_by_the_column_that_names_images(folder):
    draw(folder, *(f"pictures/{number}.jpg" for number in range(1, 5)))
    put(folder, "items.csv", ROWS)
    found = reader_of(folder)
    assert found.reader == "catalogue" and found.label_column == "what" and not found.boxes
    assert found.options["catalogue"] == {
        "table": "items.csv", "images": "pictures", "image_column": "file", "item_columns": ["what"],
    }  # fmt: skip
    assert ("images", "column `file`: 4 of 4 rows find a file") in found.guesses


def test_boxes_in_a_second_table_go_with_the_catalogue(folder):
    draw(folder, *(f"{number}.jpg" for number in range(1, 5)))
    put(folder, "items.csv", ROWS)
    put(folder, "boxes.csv", "image,label,x1,y1,x2,y2\n1.jpg,Hat,1,1,9,9\n2.jpg,Hat,1,1,9,9\n")
    found = reader_of(folder)
    assert found.boxes and found.options["catalogue"]["boxes"] == "boxes.csv"
    assert found.options["catalogue"]["boxes_class_column"] == "label"
    assert "items_from_boxes" not in found.options


def test_table_with_a_row_for_each_box_makes_the_boxes_the_items(folder):
    draw(folder, *(f"{number}.jpg" for number in range(1, 5)))
    rows = "".join(f"{n}.jpg,{label},1,1,9,9\n" for n in range(1, 5) for label in ("Hat", "Shoe"))
    put(folder, "boxes.csv", f"image,label,x1,y1,x2,y2\n{rows}")
    found = reader_of(folder)
    assert found.options["items_from_boxes"] is True and found.label_column == "label"


def test_two_tables_that_name_images_are_one_question(folder):
    draw(folder, *(f"{number}.jpg" for number in range(1, 5)))
    put(folder, "a.csv", ROWS)
    put(folder, "b.csv", ROWS)
    with pytest.raises(StageError, match=r"a.csv, b.csv each name images. Say which has the labels: TABLE=a.csv"):
        reader_of(folder)
    assert reader_of(folder, folder / "b.csv").options["catalogue"]["table"] == "b.csv"


def test_what_is_no_data_is_told_with_what_was_found(folder):
    put(folder, "notes.md", "nothing")
    with pytest.raises(StageError, match=r"no image files .* found 1 .md. Name the folder that holds the photos"):
        reader_of(folder)
    draw(folder, "1.jpg", "2.jpg")
    with pytest.raises(StageError, match=r"2 images, and nothing that says what they show; found 2 .jpg, 1 .md"):
        reader_of(folder)
    put(folder, "t.csv", "a,b\nx,y\n")
    with pytest.raises(StageError, match=r"no column of t.csv names half of its images"):
        reader_of(folder)


def test_images_of_a_folder_are_those_that_readers_see(folder):
    draw(folder, "1.jpg", "below/2.png")
    put(folder, "x.txt", "")
    assert sorted(path.name for path in images_of(folder).paths.values()) == ["1.jpg", "2.png"]
