"""The ingest report in plain text: counts, reasons, examples, and whether the download is whole."""

import sys

import pytest
from places import TABLES

from stages.core.errors import StageError
from stages.report import ingest_report as report

DOWNLOADS = "source,table,what,count,where\nphotos,items,rows of images.csv,{},counted\n"


@pytest.fixture
def photos(tree):
    """Five rows: three photos, two of them nearly the same, one PNG, one row without a file."""
    rows = "".join(f"{name},{name},Hat,False\n" for name in ("a", "b", "c", "d", "gone"))
    tree.text("images.csv", f"image,sender_id,label,kids\n{rows}")
    tree.image("images/a.jpg", seed=1, quality=95)
    tree.image("images/b.jpg", seed=1, quality=60)
    tree.image("images/c.jpg", seed=2, kind="PNG", size=(100, 50))
    tree.image("images/d.jpg", seed=3)
    tree.text("images/d.jpg", b"")
    tree.out = tree.stage("catalogue")

    def text(count=5, drawn=False):
        (tree.root / "downloads.csv").write_text(DOWNLOADS.format(count))
        return report.report("photos", "catalogue", drawn, tree.out, tree.root)

    return text


def test_tables_repairs_and_rejects_are_told_with_explanation_and_examples(photos):
    lines = photos().splitlines()
    assert "images: 4 rows in, 3 kept" in lines
    place = lines.index("images: 4 rows in, 3 kept")
    assert lines[place + 1 : place + 5] == [
        "  repaired 1 format: the file is no JPEG, whatever its name; stored as JPEG",
        "      c  c.jpg",
        "  rejected 1 corrupt_image: the image does not decode",
        "      d  d.jpg: not an image of a kind that is read",
    ]
    assert "  rejected 1 missing_image: the annotation names an image file that is not there" in lines
    assert "      images.csv:6  images/gone.jpg" in lines


def test_pictures_are_told(photos):
    text = photos()
    assert "image sizes by area: smallest 64x48, median 64x48, largest 100x50" in text
    assert "groups: 3" in text
    assert "near duplicates: 1 clusters of more than one image, with 2 images; 2 clusters in all" in text


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (5, "items: 5, complete (5 rows of images.csv; counted)"),
        (7, "items: 5, 2 fewer than a complete download (7 rows of images.csv; counted)"),
        (4, "items: 5, 1 more than a complete download (4 rows of images.csv; counted)"),
    ],
)
def test_counts_are_compared_with_those_of_a_complete_download(photos, count, said):
    text = photos(count)
    assert said in text
    assert "images: 4, no published count" in text
    assert "not the complete download" not in text


def test_own_data_of_the_same_reader_is_no_download(photos, tree):
    photos(5)
    text = report.report("mystore", "catalogue", False, tree.out, tree.root)
    assert "download" not in text
    assert "published" not in text


def test_drawn_source_is_said_to_be_no_complete_download(photos):
    assert "This is not the complete download: the project drew this source itself" in photos(5, drawn=True)


def test_only_the_first_three_examples_are_shown(tree, tmp_path):
    for number in range(5):
        tree.image(f"images/x{number}.jpg", seed=number, kind="PNG")
        tree.text(f"annotations/x{number}.xml", "<annotation/>")
    text = report.report("headwear", "voc", False, tree.stage("voc"), TABLES)
    assert "  repaired 5 format" in text
    assert [f"x{number}  x{number}.jpg" in text for number in range(5)] == [True, True, True, False, False]
    assert (
        "images: 5, no published count (headwear: about 650, but 671 in the public cap-dataset; no certain count)"
        in text
    )
    assert "objects" not in text  # a table without rows is not told


def test_source_that_was_not_ingested_is_one_message(tmp_path):
    with pytest.raises(StageError, match="source caps was not ingested yet, .* Run `dvc repro ingest@caps`"):
        report.report("caps", "voc", False, tmp_path, tmp_path)


def test_published_counts_of_the_project_are_those_of_the_documents():
    known = report.published(TABLES)
    assert sum(count for count, _ in known["deepfashion2", "images"]) == 191_961 + 32_153
    assert [known[key][0][0] for key in (("fashion_products", "items"), ("fashion_products", "images"))] == [
        44_446,
        44_441,
    ]
    assert [known[key][0][0] for key in (("shoes", "images"), ("deepfashion_mm", "images"), ("photos", "items"))] == [
        961, 44_096, 5_756,
    ]  # fmt: skip
    assert [count for count, _ in known["headwear", "images"]] == [None]


def test_count_that_is_no_number_is_one_message(tmp_path):
    (tmp_path / "downloads.csv").write_text("source,table,what,count,where\nheadwear,images,x,about 650,nowhere\n")
    with pytest.raises(StageError, match="downloads.csv, line 2: count 'about 650', expected a whole number or none"):
        report.published(tmp_path)


def test_command_reads_the_reader_from_params_and_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["report", "shoes", str(tmp_path), str(tmp_path)])
    with pytest.raises(SystemExit):
        report.main()
    assert "source shoes was not ingested yet" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["report", "boots"])
    with pytest.raises(SystemExit):
        report.main()
    assert "`ingest.boots` is missing; ingest has: category_coarse" in capsys.readouterr().err


def test_annotations_without_their_image_do_not_make_a_download_complete():
    ledger = {"rows_in": 100, "rejected": {"missing_image": 40, "no_annotation": 3, "corrupt_image": 2}}
    known = {("deepfashion2", "images"): [(97, "annotated images")]}
    assert report.completeness({"images": ledger}, "deepfashion2", False, known) == [
        "images: 57, 40 fewer than a complete download (97 annotated images)"
    ]
    ledger["rejected"] = {"no_annotation": 3}
    assert report.completeness({"images": ledger}, "deepfashion2", False, known)[0].startswith("images: 97, complete")
