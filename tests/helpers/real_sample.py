"""The sample of real photos, written in each format that people bring."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import openpyxl
import yaml

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "real"
# Label -> what Fashion Product Images calls it, and the project's name of that type (tables/types.csv).
ARTICLES = {
    "T-Shirt": ("Tshirts", "T-Shirts"),
    "Pants": ("Trousers", "Trousers"),
    "Shorts": ("Shorts", "Shorts"),
    "Skirt": ("Skirts", "Skirts"),
    "Dress": ("Dresses", "Dresses"),
    "Shoes": ("Casual Shoes", "Casual Shoes"),
}
EACH = 12  # photos of a label


def boxed_rows():
    """Rows of the sample with a box, EACH of every label of ARTICLES, and who sent the photo in."""
    senders = {
        row["image"]: row["sender_id"]
        for row in csv.DictReader((SAMPLE / "clothing-dataset/images.csv").read_text().splitlines())
    }
    found, counts = [], Counter()
    for row in csv.DictReader((SAMPLE / "clothing-dataset-boxes.csv").read_text().splitlines()):
        if row["label"] in ARTICLES and counts[row["label"]] < EACH:
            counts[row["label"]] += 1
            numbers = {name: int(row[name]) for name in ("x1", "y1", "x2", "y2", "width", "height")}
            found.append(row | numbers | {"sender": senders[row["image"]]})
    return found


def copy(row, place, name=""):
    """Copy the photo of a row into a folder; its file's name."""
    place.mkdir(parents=True, exist_ok=True)
    name = f"{name or row['image']}.jpg"
    shutil.copyfile(SAMPLE / "clothing-dataset" / "images" / f"{row['image']}.jpg", place / name)
    return name


def write_csv(folder, rows):
    """A CSV beside images/."""
    with (folder / "items.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["photo", "sender", "label"])
        writer.writerows([copy(row, folder / "images"), row["sender"], row["label"]] for row in rows)


def write_excel(folder, rows):
    """An Excel sheet with a title above its header."""
    book = openpyxl.Workbook()
    book.active.append(["Spring collection"])
    book.active.append(["photo", "sender", "label"])
    for row in rows:
        book.active.append([copy(row, folder / "images"), int(row["sender"]), row["label"]])
    book.save(folder / "items.xlsx")


def write_folders(folder, rows):
    """A folder for each label."""
    for row in rows:
        copy(row, folder / row["label"])


def write_yolo(folder, rows):
    """As tools export it: data.yaml, train and val."""
    labels = list(ARTICLES)
    for number, row in enumerate(rows):
        split = "val" if number % 5 in (3, 4) else "train"
        copy(row, folder / split / "images")
        place = folder / split / "labels"
        place.mkdir(parents=True, exist_ok=True)
        cx, cy = (row["x1"] + row["x2"]) / 2 / row["width"], (row["y1"] + row["y2"]) / 2 / row["height"]
        width, height = (row["x2"] - row["x1"]) / row["width"], (row["y2"] - row["y1"]) / row["height"]
        line = f"{labels.index(row['label'])} {cx:.6f} {cy:.6f} {width:.6f} {height:.6f}\n"
        (place / f"{row['image']}.txt").write_text(line)
    content = {"names": labels, "nc": len(labels), "train": "../train/images", "val": "../val/images"}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))


def write_voc(folder, rows):
    """Annotations/ and JPEGImages/, as labelImg and CVAT write them."""
    (folder / "Annotations").mkdir()
    for row in rows:
        name = copy(row, folder / "JPEGImages")
        box = "".join(
            f"<{tag}>{row[corner]}</{tag}>"
            for tag, corner in (("xmin", "x1"), ("ymin", "y1"), ("xmax", "x2"), ("ymax", "y2"))
        )
        (folder / "Annotations" / f"{row['image']}.xml").write_text(
            f"<annotation><filename>{name}</filename><size><width>{row['width']}</width>"
            f"<height>{row['height']}</height><depth>3</depth></size>"
            f"<object><name>{row['label']}</name><bndbox>{box}</bndbox></object></annotation>"
        )


def write_coco(folder, rows):
    """One JSON beside images/."""
    labels = list(ARTICLES)
    content = {
        "images": [
            {"id": n, "file_name": copy(row, folder / "images"), "width": row["width"], "height": row["height"]}
            for n, row in enumerate(rows)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": labels.index(row["label"]) + 1, "iscrowd": 0,
             "bbox": [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]]}
            for n, row in enumerate(rows)
        ],
        "categories": [{"id": n + 1, "name": label} for n, label in enumerate(labels)],
    }  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps(content))


def write_styles(folder, rows):
    """styles.csv with images/<number>.jpg, as Fashion Product Images."""
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    lines = [
        f"{1000 + n},{'Men' if n % 2 else 'Women'},Apparel,Topwear,{ARTICLES[row['label']][0]},Blue,Summer,2012,Casual,"
        f"{row['label']}, no. {n}"
        for n, row in enumerate(rows)
    ]
    for n, row in enumerate(rows):
        copy(row, folder / "images", str(1000 + n))
    (folder / "styles.csv").write_text("\n".join([header, *lines]) + "\n")
