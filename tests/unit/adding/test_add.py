"""`make add` on small folders of each format: what it writes, says and leaves alone, and that ingest and labels run."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from own_data import LABELS, picture, shop_rows

from stages.adding.add import add
from stages.contracts.tables import SPLITS, hash_split
from stages.core.errors import StageError
from stages.report.ingest_report import report

HEADER = ["photo", "sender", "label"]
SUPERCLASSES = {"T-Shirt": "top", "Jeans": "bottom", "Dress": "dress", "Sneakers": "footwear"}


def write_csv(path, rows=None, header=HEADER, delimiter=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *(rows or shop_rows())])


def table_rows():
    """The label table that was written."""
    return list(csv.DictReader(Path("tables/mystore_labels.csv").read_text().splitlines()))


def write_excel(path):
    book = openpyxl.Workbook()
    for row in [HEADER, *shop_rows()]:
        book.active.append(row)
    book.save(path)


def write_json_lines(path):
    path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in shop_rows()))


def write_parquet(path):
    columns = zip(*shop_rows(), strict=True)
    pq.write_table(pa.table({name: list(values) for name, values in zip(HEADER, columns, strict=True)}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("items.csv", write_csv),
        ("items.csv", lambda path: write_csv(path, delimiter=";", encoding="cp1252")),
        ("items.tsv", lambda path: write_csv(path, delimiter="\t", encoding="utf-16")),
        ("items.xlsx", write_excel),
        ("items.jsonl", write_json_lines),
        ("items.parquet", write_parquet),
    ],
    ids=["csv", "semicolons", "tsv", "excel", "json lines", "parquet"],
)
def test_a_catalogue_in_any_form_gives_the_same_items(shop, added, name, write):
    write(shop / name)
    result = added("mystore", shop)
    assert {row["item_id"]: (row["type"], row["superclass"], row["group_id"]) for row in result.labels} == {
        photo.removesuffix(".jpg"): (label, SUPERCLASSES[label], sender) for photo, sender, label in shop_rows()
    }
    assert result.account["items"]["rejected"] == {} and result.account["images"]["rows_kept"] == 40
    assert "column `photo`: 40 of 40 rows find a file" in result.said
    assert "column `sender`: 10 different" in result.said


def test_the_profile_and_the_report_are_short_and_the_label_table_names_every_label(shop, added):
    write_csv(shop / "items.csv")
    result = added("mystore", shop)
    profile = Path("profiles/mystore.yaml").read_text()
    assert len(profile.splitlines()) <= 30
    assert max(map(len, profile.splitlines())) <= 100
    assert str(shop) not in profile  # a path of this machine is nobody else's
    rows = table_rows()
    assert {row["label"]: (row["superclass"], row["count"]) for row in rows} == {
        label: (superclass, "10") for label, superclass in SUPERCLASSES.items()
    }
    lines = result.said.splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 120
    assert "make repro PROFILE=mystore" in result.said
    assert "SALIENT=1" in result.said and result.content["detectors"] == []
    assert result.content["crops"]["no_detection"] == "whole_image"


def test_salient_boxes_cut_the_crops_of_photos_without_boxes_and_a_detector_learns_from_them(shop, added):
    write_csv(shop / "items.csv")
    result = added("mystore", shop, salient=True)
    assert result.content["detectors"] == result.content["salient_sources"] == ["mystore"]
    assert result.content["salient"] == {"mystore": "without_box"}
    assert result.content["box_reads"] == {"mystore": "data/mystore/salient/mystore"}
    assert (result.content["crops"]["boxes"], result.content["crops"]["background"]) == ("salient", "plain")
    detector = result.content["detector"]["mystore"]
    assert detector["superclasses"] == sorted(set(SUPERCLASSES.values()) - {""})
    assert (detector["class_column"], detector["unboxed_is_background"]) == ("superclass", False)
    assert "`make salient` installs it" in result.said
    assert len(Path("profiles/mystore.yaml").read_text().splitlines()) <= 30


def test_salient_boxes_are_not_for_data_with_boxes_of_its_own(shop, added):
    (shop / "classes.txt").write_text("shirt\n")
    for path in sorted((shop / "images").glob("*.jpg")):
        path.with_suffix(".txt").write_text("0 .5 .5 .4 .4\n")
    with pytest.raises(StageError, match="SALIENT draws boxes for photos with one label and no box. Leave it out"):
        added("mystore", shop, salient=True)


def test_splits_are_those_of_the_groups_hash_and_stay_so_in_the_data_set(shop, added):
    write_csv(shop / "items.csv")
    result = added("mystore", shop)
    assert all(row["split"] == hash_split(row["group_id"]) for row in result.labels)
    counts = Counter(row["split"] for row in result.labels)
    assert f"photos: {counts['train']} train, {counts['val']} val, {counts['test']} test; by a hash of the group" in (
        result.said
    )
    assert result.content["dataset"]["upstream_splits"] == ["mystore"]


def test_few_groups_get_a_splits_file_where_the_hash_leaves_a_split_empty(shop, added):
    """Twelve senders whose hashes say train: every split has senders of its own all the same."""
    names = [name for name in (f"x{number}" for number in range(99)) if hash_split(name) == "train"][:12]
    write_csv(shop / "items.csv", [(f"p{n}.jpg", names[n % 12], LABELS[n % 4]) for n in range(40)])
    result = added("mystore", shop)
    groups = {split: {row["group_id"] for row in result.labels if row["split"] == split} for split in SPLITS}
    assert all(groups.values()) and len(set.union(*groups.values())) == sum(map(len, groups.values())) == 12
    assert "data/mystore/annotations/splits.csv" in result.said
    again = add("mystore", shop, None)
    assert "splits.csv (" not in again and "photos: " in again


def test_a_table_beside_the_folder_of_photos_is_found(shop, added):
    write_csv(shop / "items.csv")
    result = added("mystore", shop / "images", shop / "items.csv")
    assert len(result.labels) == 40
    assert Path("data/raw/mystore").resolve() == shop


def test_names_in_the_table_may_be_paths_or_lack_their_suffix(shop, added):
    rows = [
        (photo if n % 2 else f"C:\\shop\\images\\{photo}", s, label) for n, (photo, s, label) in enumerate(shop_rows())
    ]
    rows[1] = ("p1", *rows[1][1:])
    rows[3] = ("https://cdn.shop.example/x/p3.jpg?v=17", *rows[3][1:])
    write_csv(shop / "items.csv", rows)
    assert len(added("mystore", shop).labels) == 40


def test_a_folder_for_each_class(shop, added):
    for photo, _, label in shop_rows():
        (shop / label).mkdir(exist_ok=True)
        (shop / "images" / photo).rename(shop / label / photo)
    (shop / "images").rmdir()
    result = added("mystore", shop)
    assert Counter(row["type"] for row in result.labels) == dict.fromkeys(LABELS, 10)
    assert "a folder for each of 4 classes" in result.said


def boxes_of(n):
    """(label, [x1, y1, x2, y2]) of a photo of the shop: one garment, and every fifth two."""
    first = (LABELS[n % 4], [4, 4, 40, 40])
    return [first, (LABELS[(n + 1) % 4], [30, 8, 60, 44])] if n % 5 == 0 else [first]


def write_yolo(shop):
    for n in range(40):
        split = "val" if n % 5 in (3, 4) else "train"
        for kind in ("images", "labels"):
            (shop / split / kind).mkdir(parents=True, exist_ok=True)
        (shop / "images" / f"p{n}.jpg").rename(shop / split / "images" / f"p{n}.jpg")
        lines = [
            f"{LABELS.index(label)} {(x1 + x2) / 128} {(y1 + y2) / 96} {(x2 - x1) / 64} {(y2 - y1) / 48}\n"
            for label, (x1, y1, x2, y2) in boxes_of(n)
        ]
        (shop / split / "labels" / f"p{n}.txt").write_text("".join(lines))
    (shop / "images").rmdir()
    (shop / "data.yaml").write_text(
        yaml.safe_dump({"names": list(LABELS), "train": "train/images", "val": "val/images"})
    )


def write_label_studio(shop):
    (shop / "labels").mkdir()
    (shop / "classes.txt").write_text("\n".join(LABELS) + "\n")
    for n in range(40):
        lines = [
            f"{LABELS.index(label)} {(x1 + x2) / 128} {(y1 + y2) / 96} {(x2 - x1) / 64} {(y2 - y1) / 48}\n"
            for label, (x1, y1, x2, y2) in boxes_of(n)
        ]
        (shop / "labels" / f"p{n}.txt").write_text("".join(lines))


def write_voc(shop):
    (shop / "labels").mkdir()
    for n in range(40):
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            "</bndbox></object>"
            for label, (x1, y1, x2, y2) in boxes_of(n)
        )
        (shop / "labels" / f"p{n}.xml").write_text(f"<annotation><filename>x</filename>{objects}</annotation>")


def write_coco(shop):
    images = [{"id": n, "file_name": f"p{n}.jpg", "width": 64, "height": 48} for n in range(40)]
    boxes = [
        {"image_id": n, "category_id": LABELS.index(label), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for n in range(40)
        for label, (x1, y1, x2, y2) in boxes_of(n)
    ]
    categories = [{"id": number, "name": label} for number, label in enumerate(LABELS)]
    (shop / "all.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def write_box_rows(shop):
    rows = [(f"p{n}.jpg", label, *box) for n in range(40) for label, box in boxes_of(n)]
    write_csv(shop / "boxes.csv", rows, ["filename", "class", "xmin", "ymin", "xmax", "ymax"])


@pytest.mark.parametrize("write", [write_yolo, write_label_studio, write_voc, write_coco, write_box_rows])
def test_boxes_become_items_and_a_detector(shop, added, write):
    write(shop)
    result = added("mystore", shop)
    assert Counter(row["type"] for row in result.labels) == Counter(
        label for n in range(40) for label, _ in boxes_of(n)
    )
    assert result.account["objects"]["rows_kept"] == result.account["items"]["rows_kept"] == 48
    detector = result.content["detector"]["mystore"]
    assert detector["superclasses"] == ["bottom", "dress", "footwear", "top"]
    assert (detector["classes_table"], detector["class_column"]) == ("mystore_labels.csv", "label")
    assert result.content["detectors"] == ["mystore"]
    # Photos show several garments: a crop is of the label's own class, and upstream's box where that is not found.
    assert (result.content["crops"]["agreement"], result.content["crops"]["no_detection"]) == ("required", "own_box")
    assert len(Path("profiles/mystore.yaml").read_text().splitlines()) <= 30
    assert "48: a detector of bottom, dress, footwear, top" in result.said


def test_boxes_in_a_table_beside_a_catalogue_train_a_detector(shop, added):
    write_csv(shop / "items.csv")
    rows = [(f"p{n}.jpg", SUPERCLASSES[LABELS[n % 4]], 4, 4, 40, 40) for n in range(40) if n % 4 < 3]
    write_csv(shop / "boxes.csv", rows, ["image", "superclass", "x1", "y1", "x2", "y2"])
    result = added("mystore", shop)
    assert result.account["objects"]["rows_kept"] == 30 and len(result.labels) == 40
    detector = result.content["detector"]["mystore"]
    assert (detector["classes_table"], detector["class_column"]) == ("superclasses.csv", "superclass")
    assert detector["unboxed_is_background"] is False  # ten photos were not annotated
    assert len(Path("profiles/mystore.yaml").read_text().splitlines()) <= 30


def test_fashion_products_form_is_read_by_its_own_reader(shop, added):
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    kinds = [("Topwear", "Tshirts"), ("Bottomwear", "Jeans"), ("Dress", "Dresses"), ("Shoes", "Casual Shoes")]
    lines = [
        f"{100 + n},{'Men' if n % 2 else 'Women'},Apparel,{kinds[n % 4][0]},{kinds[n % 4][1]},"
        f"{'Red' if n % 3 else 'Blue'},Summer,2012,Casual,Brand, no. {n}"
        for n in range(40)
    ]
    (shop / "styles.csv").write_text("\n".join([header, *lines]) + "\n")
    for n in range(40):
        (shop / "images" / f"p{n}.jpg").rename(shop / "images" / f"{100 + n}.jpg")
    result = added("mystore", shop)
    assert Counter(row["type"] for row in result.labels) == {
        "T-Shirts": 10, "Jeans": 10, "Dresses": 10, "Casual Shoes": 10
    }  # fmt: skip
    assert result.content["labels"]["policies"] == {"mystore": "fashion_products"}
    assert set(result.content["classifier"]["heads"]) == {"gender", "type", "color"}  # usage is the same for all
    assert not Path("tables/mystore_labels.csv").exists()


def test_deepfashion_multimodals_tree_is_read_by_its_own_reader(shop, added):
    """It has folders images/ and labels/ as YOLO has, and texts in them."""
    for n in range(40):
        kind = ("WOMEN-Dresses", "MEN-Denim", "WOMEN-Skirts", "MEN-Pants")[n % 4]
        (shop / "images" / f"p{n}.jpg").rename(shop / "images" / f"{kind}-id_{n:08}-01_1_front.jpg")
    names = sorted(path.name for path in (shop / "images").iterdir())
    for name, codes in (
        ("shape/shape_anno_all", "0 " * 12),
        ("texture/fabric_ann", "0 0 0"),
        ("texture/pattern_ann", "1 1 1"),
    ):
        path = shop / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{one} {codes.strip()}\n" for one in names))
    result = added("mystore", shop)
    assert Counter(row["type"] for row in result.labels) == dict.fromkeys(
        ("Dresses", "Jeans", "Skirts", "Trousers"), 10
    )
    assert result.content["labels"]["policies"] == {"mystore": "deepfashion_mm"}


def test_run_again_nothing_changes(shop, project):
    write_csv(shop / "items.csv")
    add("mystore", shop, None)
    before = {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()}
    said = add("mystore", shop, None)
    assert {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()} == before
    assert "profiles/mystore.yaml (as it was)" in said and "tables/mystore_labels.csv (as it was)" in said


def test_run_again_what_a_person_edited_stays_and_new_labels_get_a_row(shop, project):
    write_csv(shop / "items.csv")
    add("mystore", shop, None)
    table, profile = Path("tables/mystore_labels.csv"), Path("profiles/mystore.yaml")
    table.write_text(table.read_text().replace("Dress,dress", "Dress,top"))
    profile.write_text(profile.read_text() + "embed: {flip: false}\n")
    edited = profile.read_text()
    write_csv(shop / "items.csv", [*shop_rows()[:-1], ("p39.jpg", "d9", "Winter coat")])
    said = add("mystore", shop, None)
    rows = {row["label"]: row for row in table_rows()}
    assert (rows["Dress"]["superclass"], rows["Winter coat"]["superclass"]) == ("top", "outwear")
    assert rows["Sneakers"]["count"] == "9"
    assert profile.read_text() == edited
    assert "profiles/mystore.yaml was edited and stays as it is" in said
    assert "superclasses that you chose: Dress" in said


EXCEL_FORMS = [(";", "utf-8-sig"), (";", "cp1252"), (",", "cp1252"), ("\t", "utf-16")]


def save_again(path, delimiter, encoding):
    """As Excel saves a table that it opened."""
    lines = [delimiter.join(row) for row in csv.reader(path.read_text().splitlines())]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))


@pytest.mark.parametrize(("delimiter", "encoding"), EXCEL_FORMS)
def test_a_label_table_saved_by_excel_is_read_by_every_step_and_stays_as_it_is(shop, added, delimiter, encoding):
    write_csv(shop / "items.csv", [(p, s, {"Dress": "M\xfctze", "Jeans": "Hose"}.get(x, x)) for p, s, x in shop_rows()])
    add("mystore", shop, None)
    table = Path("tables/mystore_labels.csv")
    table.write_text(table.read_text().replace("Hose,bottom", "Hose,dress"))
    save_again(table, delimiter, encoding)
    before = table.read_bytes()
    result = added("mystore", shop)
    assert table.read_bytes() == before and "tables/mystore_labels.csv (as it was)" in result.said
    assert {row["type"]: row["superclass"] for row in result.labels} == {
        "T-Shirt": "top", "M\xfctze": "headwear", "Hose": "dress", "Sneakers": "footwear"
    }  # fmt: skip


def test_a_label_table_saved_by_excel_gets_rows_for_new_labels(shop, project):
    write_csv(shop / "items.csv", [(p, s, "M\xfctze" if x == "Dress" else x) for p, s, x in shop_rows()])
    add("mystore", shop, None)
    table = Path("tables/mystore_labels.csv")
    table.write_text(table.read_text().replace("M\xfctze,headwear", "M\xfctze,top"))
    save_again(table, ";", "cp1252")
    rows = [(p, s, "M\xfctze" if x == "Dress" else x) for p, s, x in shop_rows()]
    write_csv(shop / "items.csv", [*rows[:-1], ("p39.jpg", "d9", "Winter coat")])
    assert "rows for new labels" in add("mystore", shop, None)
    told = {row["label"]: row["superclass"] for row in table_rows()}
    assert (told["M\xfctze"], told["Winter coat"]) == ("top", "outwear")


def test_a_profile_saved_in_another_encoding_is_one_message(shop, project):
    write_csv(shop / "items.csv")
    add("mystore", shop, None)
    profile = Path("profiles/mystore.yaml")
    text = profile.read_text()
    profile.write_bytes((text + "# f\xfcr mich\n").encode("cp1252"))
    with pytest.raises(StageError, match=r"profiles/mystore.yaml: not text in UTF-8.*Save it as UTF-8, or delete it"):
        add("mystore", shop, None)
    profile.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))  # Notepad
    assert "profiles/mystore.yaml (as it was)" in add("mystore", shop, None)


def test_labels_that_say_no_garment_and_rare_ones_are_told(shop, added):
    rows = [
        (photo, s, "Gift card" if n < 4 else "Kilt" if n == 7 else label)
        for n, (photo, s, label) in enumerate(shop_rows())
    ]
    write_csv(shop / "items.csv", rows)
    result = added("mystore", shop)
    assert "no superclass, so left out: Gift card 4, Kilt 1" in result.said
    notes = {row["label"]: row["note"] for row in table_rows()}
    assert notes["Gift card"] == "no garment: left out" and "not known" in notes["Kilt"]
    assert {row["type"] for row in result.labels} == set(LABELS)


def test_rows_without_a_label_are_left_out_and_stop_nothing(shop, added):
    write_csv(
        shop / "items.csv", [(photo, s, "" if n == 5 else label) for n, (photo, s, label) in enumerate(shop_rows())]
    )
    assert len(added("mystore", shop).labels) == 39


def test_a_changed_photo_changes_what_dvc_sees_of_the_linked_folder(shop, project):
    from dvc.repo import Repo

    write_csv(shop / "items.csv")
    add("mystore", shop, None)
    stage = {"cmd": "true", "deps": ["data/raw/mystore"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"ingest": stage}}))
    with Repo.init(str(project), no_scm=True) as repo:
        repo.reproduce()
        assert repo.status() == {}
        (shop / "images" / "p0.jpg").write_bytes(picture(999))
        assert "data/raw/mystore" in json.dumps(repo.status())
        repo.reproduce()
        write_csv(shop / "items.csv", [*shop_rows()[:-1], ("p39.jpg", "d9", "Coat")])
        assert "data/raw/mystore" in json.dumps(repo.status())


def test_the_ingest_report_of_own_data_speaks_of_no_download(shop, added):
    write_csv(shop / "items.csv")
    result = added("mystore", shop)
    said = report("mystore", "catalogue", False, result.out / "ingested", Path("tables"))
    assert "download" not in said and "published" not in said
    assert "items: 40 rows in, 40 kept" in said


@pytest.mark.parametrize("name", ["My Store", "9lives", "", "my-store"])
def test_a_name_that_is_no_identifier_is_one_message(shop, project, name):
    with pytest.raises(StageError, match="expected a name of lower-case letters"):
        add(name, shop, None)


@pytest.mark.parametrize("name", ["demo", "photos", "base", "own", "shoes", "raw", "category"])
def test_a_name_that_is_taken_is_one_message(shop, project, name):
    with pytest.raises(StageError, match=rf"SOURCE is '{name}', a name that .* has already. Choose another"):
        add(name, shop, None)


def test_a_name_whose_label_table_another_profile_uses_is_one_message(shop, project):
    with pytest.raises(StageError, match=r"clothing_dataset_labels.csv is the label table of profile photos"):
        add("clothing_dataset", shop, None)


def test_another_folder_under_the_same_name_is_one_message(shop, project, tmp_path):
    write_csv(shop / "items.csv")
    add("mystore", shop, None)
    shutil.copytree(shop, tmp_path / "other")
    with pytest.raises(StageError, match=r"data/raw/mystore is a link to .*shop already, and FOLDER gives .*other"):
        add("mystore", tmp_path / "other", None)


@pytest.mark.parametrize(
    ("files", "table", "message"),
    [
        ({}, "nothing.csv", r"TABLE is nothing.csv: no such file in .*shop, nor here"),
        ({}, None, r"40 images, and nothing that says what they show; found 40 .jpg. Expected one of:"),
        ({"a.csv": "name,label\nx,Hat\ny,Cap\n"}, None, r"no column of a.csv names half of its images"),
        ({"a.csv": "name,label\nx,Hat\ny,Cap\n"}, "a.csv", r"a.csv: no column names images .*`name` \('x', ...\)"),
        ({"a.csv": "ROWS", "b.csv": "ROWS"}, None, r"a.csv, b.csv each name images. .*TABLE=a.csv"),
        ({"a.csv": "photo,price\n" + "".join(f"p{n}.jpg,{n}\n" for n in range(40))}, None, "no column looks like labels"),
        ({"a.xls": "x"}, "a.xls", "Save it as .xlsx or as CSV"),
        ({"labels/p0.txt": "0 .5 .5 .1 .1"}, None, "and no data.yaml. It names the classes"),
        ({"Eval/list_eval_partition.txt": "1"}, None, "the tree of DeepFashion In-shop, a benchmark"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read_is_one_message_that_says_what_to_do(shop, project, files, table, message):
    for name, text in files.items():
        (shop / name).parent.mkdir(exist_ok=True)
        if text == "ROWS":
            write_csv(shop / name)
        else:
            (shop / name).write_text(text)
    with pytest.raises(StageError, match=message):
        add("mystore", shop, Path(table) if table else None)
    assert not Path("profiles/mystore.yaml").exists() and not Path("data/raw/mystore").exists()


def test_folders_without_images_and_too_few_of_them_are_one_message(project, tmp_path):
    with pytest.raises(StageError, match="no such folder"):
        add("mystore", tmp_path / "nowhere", None)
    (tmp_path / "few" / "Hat").mkdir(parents=True)
    (tmp_path / "few" / "Cap").mkdir()
    with pytest.raises(StageError, match=r"no image files .*found an empty folder"):
        add("mystore", tmp_path / "few", None)
    for n, place in enumerate(("Hat", "Cap")):
        (tmp_path / "few" / place / "1.jpg").write_bytes(picture(n))
    with pytest.raises(StageError, match=r"2 photos in 2 groups give .*Add photos: 30 are few"):
        add("mystore", tmp_path / "few", None)


def test_a_folder_in_the_checkout_that_git_does_not_ignore_is_a_warning(shop, project):
    import subprocess

    subprocess.run(["git", "init", "--quiet"], check=True)
    shutil.copytree(shop, project / "photos_here")
    write_csv(project / "photos_here" / "items.csv")
    assert "git would commit" in add("mystore", project / "photos_here", None)
    (project / ".gitignore").write_text("/photos_here/\n/data/raw/*\n")
    assert "git would commit" not in add("mystore", project / "photos_here", None)


def test_a_linked_folder_below_the_source_is_a_warning(shop, project, tmp_path):
    """DVC follows no such link: a photo that changes behind it would make nothing run again."""
    (shop / "images").rename(tmp_path / "elsewhere")
    (shop / "photos").symlink_to(tmp_path / "elsewhere")
    write_csv(shop / "items.csv")
    said = add("mystore", shop, None)
    assert "40 of 40 rows find a file" in said
    assert "WARNING photos: photos behind links" in said
