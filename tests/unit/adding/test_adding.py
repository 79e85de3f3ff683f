"""`make add` through ingest and labels: on what the tools that people come from write, and on real photos in each format.

The issue threads that an input is modeled on are named where there is one.
"""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from own_data import LABELS, picture, save, shop_rows
from real_sample import (
    ARTICLES,
    EACH,
    SAMPLE,
    boxed_rows,
    write_coco,
    write_csv,
    write_excel,
    write_folders,
    write_styles,
    write_voc,
    write_yolo,
)

from stages.adding.add import add
from stages.contracts.tables import OBJECTS, SPLITS, read_table
from stages.core.errors import StageError

TEN_EACH = dict.fromkeys(LABELS, 10)
LINE = "{} 0.5 0.5 0.5 0.5\n"


def types(result):
    return Counter(row["type"] for row in result.labels)


def into_classes(shop, base, numbers=range(40)):
    """Move photos into a folder for each label."""
    for n in numbers:
        (base / LABELS[n % 4]).mkdir(parents=True, exist_ok=True)
        (shop / "images" / f"p{n}.jpg").rename(base / LABELS[n % 4] / f"p{n}.jpg")


# tables


def test_a_table_that_is_not_read_is_named_where_folders_tell_the_labels(shop, added):
    into_classes(shop, shop)
    (shop / "items.xlsx").write_bytes(b"not a zip")
    (shop / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (shop / "README.txt").write_text("My photos")
    result = added("mystore", shop)
    said = " ".join(result.said.split())
    assert types(result) == TEN_EACH
    assert "WARNING a table was not read: " in said and "items.xlsx: cannot be read as" in said
    assert "old.xls: Excel's format of before 2007 is not read. Save it as .xlsx or as CSV" in said
    assert "README" not in said


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("items.xls", "Excel's format of before 2007 is not read. Save it as .xlsx or as CSV"),
        ("items.ods", "LibreOffice's format is not read"),
        ("items.xlsx", "items.xlsx: cannot be read as"),
        ("items.csv", "line 2: more values than the 2 columns"),
    ],
)
def test_a_table_that_is_not_read_is_the_reason_why_nothing_says_what_photos_show(shop, project, name, reason):
    (shop / name).write_bytes(b"image,label\na,b,c\n")
    with pytest.raises(StageError) as error:
        add("mystore", shop, None)
    assert f"Not read: {shop}/{name}" in str(error.value) and reason in str(error.value)


def test_a_sheet_with_one_merged_cell_for_several_photos_labels_each(shop, added):
    """HXLStandard/libhxl-python #90: Excel keeps the value in the first of merged cells."""
    book = openpyxl.Workbook()
    book.active.append(["photo", "label"])
    for n in range(40):
        book.active.append([f"p{n}.jpg", LABELS[n // 10] if n % 10 == 0 else None])
    for n in range(0, 40, 10):
        book.active.merge_cells(start_row=n + 2, end_row=n + 11, start_column=2, end_column=2)
    book.save(shop / "items.xlsx")
    assert types(added("mystore", shop)) == TEN_EACH


@pytest.mark.parametrize(
    "written", ["/data/upload/3/8a2b3c4d-{}", "/data/local-files/?d=my%20shop/images/{}", "/data/local-files/?d={}"]
)
def test_what_label_studio_exports_as_csv_finds_the_photos(shop, added, written):
    """HumanSignal/label-studio #878, #4903: an upload's name has a code before it, local files are in a query."""
    rows = [(written.format(p), n, label, 7, 3.5) for n, (p, _, label) in enumerate(shop_rows())]
    save(shop / "project-1.csv", ["image", "id", "choice", "annotator", "lead_time"], rows)
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "column `choice`" in result.said


def test_label_studios_json_min_is_a_table_and_its_full_json_is_one_message(shop, added):
    rows = [{"id": n, "image": f"/data/upload/1/{p}", "choice": label} for n, (p, _, label) in enumerate(shop_rows())]
    (shop / "min.json").write_text(json.dumps(rows))
    assert types(added("mystore", shop)) == TEN_EACH
    (shop / "min.json").write_text(
        json.dumps([{"id": n, "annotations": [], "data": {"image": "x"}} for n in range(40)])
    )
    with pytest.raises(StageError, match="Label Studio's full JSON: export JSON-MIN or CSV"):
        add("other", shop, Path("min.json"))


def test_a_competitions_table_with_labels_is_told_from_those_without(shop, added):
    """Kaggle: train.csv, test.csv and sample_submission.csv beside train/ and test/."""
    (shop / "images").rename(shop / "train")
    (shop / "test").mkdir()
    for n in range(40, 52):
        (shop / "test" / f"p{n}.jpg").write_bytes(picture(n))
    save(shop / "train.csv", ["id", "articleType"], [(p.removesuffix(".jpg"), label) for p, _, label in shop_rows()])
    save(shop / "test.csv", ["id"], [(f"p{n}",) for n in range(40, 52)])
    save(shop / "sample_submission.csv", ["id", "articleType"], [(f"p{n}", "Dress") for n in range(40, 52)])
    result = added("mystore", shop)
    assert types(result) == TEN_EACH
    assert "12 images no_annotation" in result.said


def test_roboflows_column_of_flags_for_each_label_is_one_message(shop, project):
    rows = [(p, *(int(label == one) for one in LABELS)) for p, _, label in shop_rows()]
    save(shop / "_classes.csv", ["filename", *LABELS], rows)
    with pytest.raises(StageError, match="Dress, Jeans, Sneakers, T-Shirt are 0 or 1: write the name of the one"):
        add("mystore", shop, None)


def test_notes_of_google_photos_beside_each_photo_are_no_tables(shop, added):
    for n in range(40):
        (shop / "images" / f"p{n}.jpg.supplemental-metadata.json").write_text(
            json.dumps({"title": f"p{n}.jpg"}, indent=1)
        )
    save(shop / "items.csv", ["photo", "sender", "label"], shop_rows())
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "WARNING" not in result.said


# folders


def test_an_archive_that_wraps_its_folder_in_others_is_read(shop, added):
    into_classes(shop, shop / "fashion-dataset" / "data")
    (shop / "images").rmdir()
    (shop / "__MACOSX").mkdir()
    (shop / ".DS_Store").write_bytes(b"x")
    result = added("mystore", shop)
    assert types(result) == TEN_EACH
    assert Path("data/raw/mystore").resolve() == shop / "fashion-dataset" / "data"
    assert "(as it was)" in add("mystore", shop, None)


def test_folders_of_classes_within_folders_that_name_no_garment_are_the_labels(shop, added):
    """Kaggle's archives: Men/T-Shirt, Women/Dress."""
    for n in range(40):
        into_classes(shop, shop / ("Women" if n % 3 else "Men"), [n])
    (shop / "images").rmdir()
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "4 classes in folders Men, Women" in result.said
    assert {row["item_id"] for row in result.labels} >= {"Men/T-Shirt/p0", "Women/Dress/p2"}


def test_folders_within_a_class_are_parts_of_it(shop, added):
    for n in range(40):
        place = shop / LABELS[n % 4] / ("2024" if n % 3 else "coats")
        place.mkdir(parents=True, exist_ok=True)
        (shop / "images" / f"p{n}.jpg").rename(place / f"p{n}.jpg")
    (shop / "images").rmdir()
    assert types(added("mystore", shop)) == TEN_EACH


def test_folders_that_notebooks_and_macos_leave_are_no_classes(shop, added):
    """pytorch/vision #2831, fastai #200."""
    into_classes(shop, shop)
    (shop / "images").rmdir()
    for place in (".ipynb_checkpoints", "Dress/.ipynb_checkpoints", "@eaDir"):
        (shop / place).mkdir()
        (shop / place / "p0-checkpoint.jpg").write_bytes(picture(0))
    (shop / "Dress" / ".DS_Store").write_bytes(b"x")
    (shop / "Empty class").mkdir()
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "a folder for each of 4 classes" in result.said


def test_a_competitions_test_folder_without_classes_is_no_split(shop, added):
    into_classes(shop, shop / "train")
    (shop / "images").rename(shop / "test")
    (shop / "test" / "q.jpg").write_bytes(picture(77))
    result = added("mystore", shop)
    assert types(result) == TEN_EACH
    assert "by a hash of the photo" in result.said


def test_class_folders_beside_the_splits_are_counted_as_not_read(shop, added):
    for n in range(40):
        into_classes(shop, shop / ["train", "valid", "test", "extra"][min(n // 10, 3)], [n])
    (shop / "images").rmdir()
    said = " ".join(added("mystore", shop).said.split())
    assert (
        "10 train, 10 val, 10 test; the data's own" in said
        and "10 .jpg outside of the folders that this format reads" in said
    )


# YOLO


def test_labels_beside_images_as_labelimg_leaves_them_are_read(shop, added):
    for n in range(40):
        (shop / "images" / f"p{n}.jpg").rename(shop / f"p{n}.jpg")
        (shop / f"p{n}.txt").write_text(LINE.format(n % 4))
    (shop / "images").rmdir()
    (shop / "classes.txt").write_text("\n".join(LABELS))
    (shop / "README.txt").write_text("12 photos of 4 kinds by me\n")
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and result.account["objects"]["rejected"] == {}
    assert result.account["images"]["rejected"] == {}
    assert result.account["notes"]["files that are not read"] == {".txt": 1}
    assert "a YOLO directory (classes.txt)" in result.said


@pytest.mark.parametrize(
    ("labels", "classes"),
    [("labels", "labels/classes.txt"), ("images", "images/classes.txt"), ("boxes", "classes.txt")],
)
def test_labels_in_a_folder_of_their_own_with_their_classes_are_read(shop, added, labels, classes):
    (shop / labels).mkdir(exist_ok=True)
    for n in range(40):
        (shop / labels / f"p{n}.txt").write_text(LINE.format(n % 4))
    (shop / classes).write_text("\n".join(LABELS))
    if labels == "boxes":
        (shop / "images").rename(shop / "photos")
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and result.account["images"]["rejected"] == {}


def test_roboflows_darknet_export_has_its_classes_and_its_splits(shop, added):
    for n in range(40):
        place = shop / ["train", "train", "valid", "test"][n // 10]
        place.mkdir(exist_ok=True)
        (place / "_darknet.labels").write_text("\n".join(LABELS))
        (shop / "images" / f"p{n}.jpg").rename(place / f"p{n}.jpg")
        (place / f"p{n}.txt").write_text(LINE.format(n % 4))
    (shop / "images").rmdir()
    result = added("mystore", shop)
    assert types(result) == TEN_EACH
    assert Counter(row["split"] for row in result.labels) == {"train": 20, "val": 10, "test": 10}


@pytest.mark.parametrize(
    ("files", "table"),
    [
        ({"classes.txt": "Hat\nDress\n"}, "items.csv"),
        ({"README.txt": "read me", "labels/labels.csv": "ROWS"}, None),
        ({"README.txt": "read me", "labels/notes.txt": "none yet"}, "items.csv"),
        ({"captions/p0.txt": "a red shirt, 2 pockets", "classes.txt": "Hat\n"}, "items.csv"),
    ],
)
def test_folders_called_as_yolos_and_texts_are_no_yolo_without_label_files(shop, added, files, table):
    for name, text in [*files.items(), *([(table, "ROWS")] if table else [])]:
        (shop / name).parent.mkdir(exist_ok=True)
        if text == "ROWS":
            save(shop / name, ["photo", "sender", "label"], shop_rows())
        else:
            (shop / name).write_text(text)
    result = added("mystore", shop)
    assert "a catalogue" in result.said and types(result) == TEN_EACH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5 0.5", "40 images and label files as YOLO has them .* no data.yaml.*/classes.txt with a class a line"),
        ("", "40 label files, all of them empty. Export the labels again"),
    ],
)  # fmt: skip
def test_label_files_without_classes_or_without_boxes_are_one_message(shop, project, text, message):
    """makesense.ai writes no list of classes; cvat-ai/cvat #6609 exports files of 0 bytes."""
    for n in range(40):
        (shop / "images" / f"p{n}.txt").write_text(text)
    with pytest.raises(StageError, match=message):
        add("mystore", shop, None)


# COCO


def coco(shop, name="instances_default.json", file_name="{}", categories=LABELS, of=lambda n: n % 4, **more):
    images = [{"id": n, "file_name": file_name.format(f"p{n}.jpg"), "width": 64, "height": 48} for n in range(40)]
    boxes = [{"image_id": n, "category_id": of(n), "bbox": [4, 4, 30, 30]} for n in range(40)]
    named = [{"id": n, "name": label} for n, label in enumerate(categories)]
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text(json.dumps({"images": images, "annotations": boxes, "categories": named, **more}))


@pytest.mark.parametrize(
    "file_name",
    [
        "..\\..\\label-studio\\media\\upload\\4\\{}", "../../images/{}", "/data/local-files/?d=shop/images/{}",
        "images%2F{}", "C:\\Users\\me\\shop\\images\\{}", "images\\cb0618f6-{}",
    ],
)  # fmt: skip
def test_a_coco_json_with_another_machines_paths_finds_the_photos(shop, added, file_name):
    """HumanSignal/label-studio #7294 and #4903, label-studio-converter #172."""
    coco(shop, file_name=file_name)
    assert types(added("mystore", shop)) == TEN_EACH


def test_cvats_coco_with_a_subset_in_the_names_is_read(shop, added):
    """Koldim2001/COCO_to_YOLOv8 #2."""
    coco(shop, "annotations/instances_Train.json")
    (shop / "images" / "Train").mkdir()
    for path in list((shop / "images").glob("*.jpg")):
        path.rename(shop / "images" / "Train" / path.name)
    assert types(added("mystore", shop)) == TEN_EACH


def test_roboflows_root_category_that_nothing_is_labeled_with_is_no_label(shop, added):
    """roboflow/rf-detr #1303."""
    coco(shop, "_annotations.coco.json", categories=("clothes", *LABELS), of=lambda n: n % 4 + 1)
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "clothes" not in Path("tables/mystore_labels.csv").read_text()


def test_vias_categories_that_are_texts_or_nothing_are_read_or_counted(shop, added):
    """neuroinformatics-unit/ethology #38."""
    coco(shop, of=lambda n: str(n % 4) if n % 10 else None)
    result = added("mystore", shop)
    assert sum(types(result).values()) == 36
    assert "4 objects malformed_box" in result.said


# Pascal VOC


def voc(folder, n, box="<bndbox><xmin>4</xmin><xmax>30</xmax><ymin>4</ymin><ymax>40</ymax></bndbox>", head=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"p{n}.xml").write_text(
        f"{head}<annotation><filename>p{n}.jpg</filename><object><name>{LABELS[n % 4]}</name>{box}</object></annotation>"
    )


def test_roboflows_voc_export_keeps_its_splits(shop, added):
    """datitran/raccoon_dataset #130: xmax stands before ymin."""
    for n in range(40):
        place = shop / ["train", "train", "valid", "test"][n // 10]
        voc(place, n)
        (shop / "images" / f"p{n}.jpg").rename(place / f"p{n}.jpg")
    (shop / "images").rmdir()
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "20 train, 10 val, 10 test; the data's own" in result.said
    assert Counter(row["split"] for row in result.labels) == {"train": 20, "val": 10, "test": 10}


def test_the_lists_of_imagesets_are_splits(shop, added):
    (shop / "ImageSets" / "Main").mkdir(parents=True)
    for name, numbers in (
        ("train", range(20)),
        ("val", range(20, 30)),
        ("trainval", range(30)),
        ("test", range(30, 40)),
    ):
        (shop / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"p{n}\n" for n in numbers))
    for n in range(40):
        voc(shop / "Annotations", n)
    (shop / "images").rename(shop / "JPEGImages")
    result = added("mystore", shop)
    assert Counter(row["split"] for row in result.labels) == {"train": 20, "val": 10, "test": 10}


def test_masks_of_segmentations_are_no_images(shop, added):
    for n in range(40):
        voc(shop / "Annotations", n)
        for place in ("SegmentationClass", "SegmentationObject"):
            (shop / place).mkdir(exist_ok=True)
            shutil.copyfile(shop / "images" / f"p{n}.jpg", shop / place / f"p{n}.png")
    (shop / "images").rename(shop / "JPEGImages")
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and "images in JPEGImages" in result.said


def test_labelboxs_two_corners_in_a_polygon_are_a_box(shop, added):
    """ssaru/convert2Yolo #16."""
    for n in range(40):
        voc(shop / "Annotations", n, "<polygon><x1>4</x1><y1>4</y1><x2>30</x2><y2>40</y2></polygon>")
    result = added("mystore", shop)
    assert types(result) == TEN_EACH and result.account["objects"]["rejected"] == {}


def test_cvats_one_xml_for_all_images_is_one_message(shop, project):
    (shop / "annotations.xml").write_text(
        '<?xml version="1.0"?><annotations><image id="0" name="p0.jpg"><box label="Dress" xtl="1"/></image></annotations>'
    )
    with pytest.raises(StageError, match="CVAT's own form, .* Export the task as Pascal VOC, COCO or YOLO"):
        add("mystore", shop, None)


# image files


def test_photos_of_phones_whose_suffix_lies_and_placeholders_of_clouds(shop, added):
    """instructure/canvas-lms #1206 (JPEG named .heic), Esri/data-collection-ios #184 (HEIC named .jpg), iCloud's stubs."""
    from PIL import Image
    from pillow_heif import from_pillow

    images = shop / "images"
    (images / "p0.jpg").rename(images / "p0.heic")
    with Image.open(images / "p1.jpg") as photo:
        from_pillow(photo).save(images / "p1.heic")
    (images / "p1.heic").rename(images / "p1.jpg")
    (images / "p2.jpg").rename(images / "P2.JPG")
    (images / "p3.jpg").unlink()
    (images / ".p3.jpg.icloud").write_bytes(b"bplist00")
    (images / "p4.jpg").write_bytes(b"")
    save(shop / "items.csv", ["photo", "sender", "label"], shop_rows())
    result = added("mystore", shop)
    assert sum(types(result).values()) == 38
    said = " ".join(result.said.split())
    assert "1 image corrupt_image" in said and "p4.jpg: not an image of a kind that is read" in said
    assert "1 item missing_image" in said and "items.csv:5" in said


# real photos


REAL = SAMPLE / "clothing-dataset"
on_real_photos = pytest.mark.skipif(not REAL.is_dir(), reason="needs the sample of real photos in ../shared/real")


@pytest.fixture
def empty(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@on_real_photos
@pytest.mark.parametrize("write", [write_csv, write_excel, write_folders, write_yolo, write_voc, write_coco])
def test_each_format_gives_the_samples_labels_and_the_superclasses_that_people_chose(empty, added, write):
    rows = boxed_rows()
    write(empty, rows)
    result = added("mystore", empty)
    assert Counter((row["type"], row["superclass"]) for row in result.labels) == Counter(
        (row["label"], row["superclass"]) for row in rows
    )
    assert result.account["images"]["rows_kept"] == len(rows) == EACH * len(ARTICLES)
    assert not any(ledger["rejected"] for name, ledger in result.account.items() if name != "notes")
    assert {row["split"] for row in result.labels} == set(SPLITS)
    assert len(result.said.splitlines()) <= 30 and max(map(len, result.said.splitlines())) <= 120
    assert len(Path("profiles/mystore.yaml").read_text().splitlines()) <= 30


@on_real_photos
@pytest.mark.parametrize("write", [write_csv, write_excel])
def test_the_senders_of_a_table_are_its_groups(empty, added, write):
    rows = boxed_rows()
    write(empty, rows)
    result = added("mystore", empty)
    assert {(row["item_id"], row["group_id"]) for row in result.labels} == {
        (row["image"], row["sender"]) for row in rows
    }


@on_real_photos
@pytest.mark.parametrize("write", [write_yolo, write_voc, write_coco])
def test_each_format_of_boxes_gives_the_samples_corners_and_a_detector(empty, added, write):
    rows = boxed_rows()
    write(empty, rows)
    result = added("mystore", empty)
    boxes = read_table(result.out / "ingested" / "objects.parquet", OBJECTS).to_pylist()
    found = {row["image_id"][-36:]: row for row in boxes}  # ids may begin with a split
    assert len(found) == len(rows)
    for row in rows:
        corners = [found[row["image"]][corner] for corner in ("x1", "y1", "x2", "y2")]
        assert corners == pytest.approx([row[corner] for corner in ("x1", "y1", "x2", "y2")], abs=0.01)
    assert result.content["detector"]["mystore"]["superclasses"] == sorted({row["superclass"] for row in rows})


@on_real_photos
def test_a_styles_csv_with_images_gives_the_types_of_its_articles(empty, added):
    write_styles(empty, boxed_rows())
    result = added("mystore", empty)
    assert Counter(row["type"] for row in result.labels) == {name: EACH for _, name in ARTICLES.values()}
    assert result.account["images"]["rows_kept"] == EACH * len(ARTICLES)


@pytest.mark.slow
@on_real_photos
def test_real_photos_as_a_folder_for_each_class_and_by_their_table_give_the_same_labels(added, tmp_path):
    rows = list(csv.DictReader((REAL / "images.csv").read_text().splitlines()))[:120]
    rows = [row for row in rows if (REAL / "images" / f"{row['image']}.jpg").is_file()]
    (tmp_path / "table" / "images").mkdir(parents=True)
    save(tmp_path / "table" / "images.csv", list(rows[0]), [tuple(row.values()) for row in rows])
    for row in rows:
        name = f"{row['image']}.jpg"
        (tmp_path / "folders" / row["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REAL / "images" / name, tmp_path / "folders" / row["label"] / name)
        shutil.copyfile(REAL / "images" / name, tmp_path / "table" / "images" / name)
    folders, table = added("by_folder", tmp_path / "folders"), added("by_table", tmp_path / "table")
    assert "column `sender_id`" in table.said and "column `label`" in table.said
    found = [Counter((row["type"], row["superclass"]) for row in one.labels) for one in (folders, table)]
    garments = Counter(row["label"] for row in rows if row["label"] not in ("Not sure", "Other", "Skip"))
    assert found[0] == found[1] and Counter(row["type"] for row in table.labels) == garments
    upstream = Path("tables/clothing_dataset_labels.csv")  # what a person chose
    told = {row["label"]: row["superclass"] for row in csv.DictReader(upstream.read_text().splitlines())}
    assert all(told[label] == superclass for label, superclass in found[1])
