"""`make add` on real photos in each format that people bring, through ingest and labels."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from own_data import save
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

from stages.contracts.tables import OBJECTS, SPLITS, read_table

REAL = SAMPLE / "clothing-dataset"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs the sample of real photos in ../shared/real")


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("write", [write_csv, write_excel, write_folders, write_yolo, write_voc, write_coco])
def test_each_format_gives_the_samples_labels_and_the_superclasses_that_people_chose(shop, added, write):
    rows = boxed_rows()
    write(shop, rows)
    result = added("mystore", shop)
    assert Counter((row["type"], row["superclass"]) for row in result.labels) == Counter(
        (row["label"], row["superclass"]) for row in rows
    )
    assert result.account["images"]["rows_kept"] == len(rows) == EACH * len(ARTICLES)
    assert not any(ledger["rejected"] for name, ledger in result.account.items() if name != "notes")
    assert {row["split"] for row in result.labels} == set(SPLITS)
    assert len(result.said.splitlines()) <= 30 and max(map(len, result.said.splitlines())) <= 120
    assert len(Path("profiles/mystore.yaml").read_text().splitlines()) <= 30


@pytest.mark.parametrize("write", [write_csv, write_excel])
def test_the_senders_of_a_table_are_its_groups(shop, added, write):
    rows = boxed_rows()
    write(shop, rows)
    result = added("mystore", shop)
    assert {(row["item_id"], row["group_id"]) for row in result.labels} == {
        (row["image"], row["sender"]) for row in rows
    }


@pytest.mark.parametrize("write", [write_yolo, write_voc, write_coco])
def test_each_format_of_boxes_gives_the_samples_corners_and_a_detector(shop, added, write):
    rows = boxed_rows()
    write(shop, rows)
    result = added("mystore", shop)
    boxes = read_table(result.out / "ingested" / "objects.parquet", OBJECTS).to_pylist()
    found = {row["image_id"][-36:]: row for row in boxes}  # ids may begin with a split
    assert len(found) == len(rows)
    for row in rows:
        corners = [found[row["image"]][corner] for corner in ("x1", "y1", "x2", "y2")]
        assert corners == pytest.approx([row[corner] for corner in ("x1", "y1", "x2", "y2")], abs=0.01)
    assert result.content["detector"]["mystore"]["superclasses"] == sorted({row["superclass"] for row in rows})


def test_a_styles_csv_with_images_gives_the_types_of_its_articles(shop, added):
    write_styles(shop, boxed_rows())
    result = added("mystore", shop)
    assert Counter(row["type"] for row in result.labels) == {name: EACH for _, name in ARTICLES.values()}
    assert result.account["images"]["rows_kept"] == EACH * len(ARTICLES)


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
