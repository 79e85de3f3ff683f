"""Images found by the names that tables and annotations give them."""

import os
import unicodedata
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trees import ZERO_BASED, account, boxes, shard_ids, voc_xml, write_catalogue

from stages.ingest.lookup import Images

NAMES = ["Bl\u00fase", "r\u00f6ckchen", "caf\u00e9 noir", "plain"]


@pytest.mark.parametrize(("there", "listed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_compare_however_they_are_composed(tree, there, listed):
    for seed, name in enumerate(NAMES):
        tree.image(f"images/{unicodedata.normalize(there, name)}.jpg", seed=seed)
        tree.text(f"annotations/{unicodedata.normalize(listed, name)}.xml", voc_xml((1, 1, 20, 20)))
    write_catalogue(tree, [unicodedata.normalize(listed, name) for name in NAMES])
    assert shard_ids(tree.stage("catalogue")) == sorted(NAMES)
    assert sorted(boxes(tree.stage("voc", out="voc", **ZERO_BASED))) == sorted(f"{name}:1" for name in NAMES)


def test_file_whose_name_is_no_text_is_used_and_shown_escaped(tree):
    for seed, name in enumerate((b"caf\xe9", b"plain")):
        tree.image("images/t.jpg", seed=seed)
        tree.text("annotations/t.xml", voc_xml((1, 1, 20, 20)))
        for folder, suffix in (("images", b".jpg"), ("annotations", b".xml")):
            place = os.fsencode(tree.root / folder)
            Path(os.fsdecode(place + b"/t" + suffix)).rename(os.fsdecode(place + b"/" + name + suffix))
    tree.image("images/t.jpg", seed=9)
    (tree.root / "images/t.jpg").rename(tree.root / "images" / os.fsdecode(b"alone\xff.jpg"))
    out = tree.stage("voc", **ZERO_BASED)
    assert boxes(out) == {"caf\\xe9:1": [1, 1, 20, 20], "plain:1": [1, 1, 20, 20]}
    (reject,) = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (reject["key"], reject["reason"]) == ("alone\\xff.jpg", "no_annotation")


PHOTOS = {"IMG_1.JPG": "JPEG", "IMG_2.jpg": "JPEG", "scan.png": "PNG", "web.jpeg": "JPEG", "shop.webp": "WEBP",
        "v1.2.jpg": "JPEG", "sub/deep.jpg": "JPEG"}  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        lambda name: name,
        lambda name: name.rsplit(".", 1)[0],
        lambda name: name.lower(),
        lambda name: name.upper(),
        lambda name: name.rsplit(".", 1)[0] + ".jpg",
        lambda name: f"images/{name}",
        lambda name: f"./images/{name}",
        lambda name: "C:\\Users\\me\\set\\images\\" + name.replace("/", "\\"),
        lambda name: f"/home/me/photos/{name}",
        lambda name: name.rsplit("/", 1)[-1],
        lambda name: f"  {name}",
        lambda name: f"https://cdn.shop.example/files/images/{name}?v=17&width=300",
    ],
)
def test_name_finds_its_file_however_a_table_writes_it(tree, written):
    for seed, (name, kind) in enumerate(PHOTOS.items()):
        tree.image(f"images/{name}", seed=seed, kind=kind)
    write_catalogue(tree, [written(name) for name in PHOTOS])
    out = tree.stage("catalogue")
    assert shard_ids(out) == sorted(name.rsplit(".", 1)[0] for name in PHOTOS)
    assert account(out)["items"]["rejected"] == {}


def test_name_that_fits_several_files_is_said_to_be_ambiguous(tree):
    tree.image("images/shop_a/1.jpg", seed=1)
    tree.image("images/shop_b/1.jpg", seed=2)
    tree.image("images/A.jpg", seed=3)
    tree.image("images/a.jpg", seed=4)
    write_catalogue(tree, ["1.jpg", "shop_b/1.jpg", "a.jpg", "A.JPG"])
    out = tree.stage("catalogue")
    assert shard_ids(out) == ["A", "a", "shop_b/1"]
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["key"], row["reason"], row["detail"]) for row in rows] == [
        ("images/shop_a/1.jpg", "no_annotation", ""),
        ("images.csv:2", "ambiguous_name", "1.jpg: shop_a/1 or shop_b/1"),
    ]


def test_folder_that_is_not_there_gives_no_name_to_another_folders_file(tree):
    tree.image("images/shop_a/1.jpg", seed=1)
    tree.image("images/2.jpg", seed=2)
    write_catalogue(tree, ["shop_b/1.jpg", "shop_b/2.jpg", "C:\\set\\shop_b\\1.jpg", "../2.jpg"])
    _, summary, account = tree.read("catalogue")
    assert summary["items"]["rejected"] == {"missing_image": 4}
    assert account.ledger("items").rejects[0].detail == "images/shop_b/1.jpg"


def test_two_files_of_one_stem_are_told_apart_by_their_suffixes(tree):
    tree.image("images/a.jpg", seed=1)
    tree.image("images/a.png", seed=2, kind="PNG")
    write_catalogue(tree, ["a.jpg", "a.png"])
    assert shard_ids(tree.stage("catalogue")) == ["a", "a.png"]
    write_catalogue(tree, ["a"])
    _, summary, _ = tree.read("catalogue")
    assert summary["images"]["rejected"] == {"ambiguous_name": 1}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("../images/1.jpg", "1"), ("..\\..\\studio\\media\\upload\\4\\8a2b3c4d-1.jpg", "1"), ("../1.jpg", ""),
        ("/data/local-files/?d=my%20shop/1.jpg", "1"), ("/data/upload/4/1.jpg", "1"), ("8a2b3c4d-1.jpg", "1"),
        ("20240131-1.jpg", ""), ("a%20b.jpg", "a b"),
        ("below/c/1.jpg", ""),
    ],
)  # fmt: skip
def test_name_that_a_tool_wrote_finds_its_file_and_no_other(tmp_path, written, found):
    files = [tmp_path / "images" / name for name in ("1.jpg", "a b.jpg", "below/2.jpg")]
    assert Images(tmp_path / "images", files).find(written).image_id == found
