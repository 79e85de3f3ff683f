"""Trees of the other readers as real people bring them: names, suffixes, links, companions, turned pictures."""

import json
import os
import unicodedata
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.ingest.boxes import turned

NAMES = ["Bl\u00fase", "r\u00f6ckchen", "caf\u00e9 noir", "plain"]
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x08free" + bytes(400)


def xml(*boxes, size=(64, 48), name="cap", extra=""):
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>" for a, b, c, d in boxes
    )  # fmt: skip
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>x.jpg</filename>{sides}{objects}{extra}</annotation>"


VOC = {"voc": {"annotations": "annotations", "images": "images", "first_pixel": 0}}


def catalogue(tree, names):
    """A CSV that names these images as they stand here."""
    rows = "".join(f"{name},g{number},Top,False\n" for number, name in enumerate(names))
    tree.text("images.csv", f"image,sender_id,label,kids\n{rows}")


def shard_ids(out):
    return sorted(row for path in out.glob("shard-*") for row in pq.read_table(path)["image_id"].to_pylist())


def account(out):
    return json.loads((out / "account.json").read_text(encoding="utf-8"))


def boxes(out):
    rows = pq.read_table(out / "objects.parquet").to_pylist()
    return {row["object_id"]: [round(row[key], 3) for key in ("x1", "y1", "x2", "y2")] for row in rows}


@pytest.mark.parametrize(("there", "listed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_compare_however_they_are_composed(tree, there, listed):
    for seed, name in enumerate(NAMES):
        tree.image(f"images/{unicodedata.normalize(there, name)}.jpg", seed=seed)
        tree.text(f"annotations/{unicodedata.normalize(listed, name)}.xml", xml((1, 1, 20, 20)))
    catalogue(tree, [unicodedata.normalize(listed, name) for name in NAMES])
    assert shard_ids(tree.stage("catalogue")) == sorted(NAMES)
    assert sorted(boxes(tree.stage("voc", out="voc", **VOC))) == sorted(f"{name}:1" for name in NAMES)


def test_file_whose_name_is_no_text_is_used_and_shown_escaped(tree):
    for seed, name in enumerate((b"caf\xe9", b"plain")):
        tree.image("images/t.jpg", seed=seed)
        tree.text("annotations/t.xml", xml((1, 1, 20, 20)))
        for folder, suffix in (("images", b".jpg"), ("annotations", b".xml")):
            place = os.fsencode(tree.root / folder)
            Path(os.fsdecode(place + b"/t" + suffix)).rename(os.fsdecode(place + b"/" + name + suffix))
    tree.image("images/t.jpg", seed=9)
    (tree.root / "images/t.jpg").rename(tree.root / "images" / os.fsdecode(b"alone\xff.jpg"))
    out = tree.stage("voc", **VOC)
    assert boxes(out) == {"caf\\xe9:1": [1, 1, 20, 20], "plain:1": [1, 1, 20, 20]}
    (reject,) = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (reject["key"], reject["reason"]) == ("alone\\xff.jpg", "no_annotation")


KINDS = {"a.jpg": "JPEG", "b.jfif": "JPEG", "c.jpe": "JPEG", "d.tif": "TIFF", "e.gif": "GIF", "f.avif": "AVIF",
         "h.TIFF": "TIFF", "i.JFIF": "JPEG", "j.jp2": "JPEG2000", "k.ppm": "PPM"}  # fmt: skip


def test_every_kind_of_image_is_read_and_those_that_are_not_are_on_record(tree, rejects):
    for seed, (name, kind) in enumerate(KINDS.items()):
        tree.image(f"images/{name}", seed=seed, kind=kind)
    tree.text("images/g.JXL", HEIC)
    tree.text("images/raw.CR2", HEIC)
    catalogue(tree, [*"abcdefhijk", "g"])
    out = tree.stage("catalogue")
    assert shard_ids(out) == list("abcdefhijk")
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["table"], row["key"], row["reason"]) for row in rows] == [
        ("images", "images/g.JXL", "unread_format"),
        ("images", "images/raw.CR2", "unread_format"),
        ("items", "images.csv:12", "unread_format"),
    ]
    assert rows[2]["detail"] == "g.JXL: a kind of picture that is not read; save it as JPEG or PNG"


REAL = {"IMG_1.JPG": "JPEG", "IMG_2.jpg": "JPEG", "scan.png": "PNG", "web.jpeg": "JPEG", "shop.webp": "WEBP",
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
    for seed, (name, kind) in enumerate(REAL.items()):
        tree.image(f"images/{name}", seed=seed, kind=kind)
    catalogue(tree, [written(name) for name in REAL])
    out = tree.stage("catalogue")
    assert shard_ids(out) == sorted(name.rsplit(".", 1)[0] for name in REAL)
    assert account(out)["items"]["rejected"] == {}


def test_name_that_fits_several_files_is_said_to_be_ambiguous(tree):
    tree.image("images/shop_a/1.jpg", seed=1)
    tree.image("images/shop_b/1.jpg", seed=2)
    tree.image("images/A.jpg", seed=3)
    tree.image("images/a.jpg", seed=4)
    catalogue(tree, ["1.jpg", "shop_b/1.jpg", "a.jpg", "A.JPG"])
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
    catalogue(tree, ["shop_b/1.jpg", "shop_b/2.jpg", "C:\\set\\shop_b\\1.jpg", "../2.jpg"])
    _, summary, account = tree.read("catalogue")
    assert summary["items"]["rejected"] == {"missing_image": 4}
    assert account.ledger("items").rejects[0].detail == "images/shop_b/1.jpg"


def test_two_files_of_one_stem_are_told_apart_by_their_suffixes(tree):
    tree.image("images/a.jpg", seed=1)
    tree.image("images/a.png", seed=2, kind="PNG")
    catalogue(tree, ["a.jpg", "a.png"])
    assert shard_ids(tree.stage("catalogue")) == ["a", "a.png"]
    catalogue(tree, ["a"])
    _, summary, _ = tree.read("catalogue")
    assert summary["images"]["rejected"] == {"ambiguous_name": 1}


def test_annotations_in_subfolders_of_any_capitals_and_with_the_images_suffix_are_read(tree):
    for seed, name in enumerate(("a", "b", "sub/s1", "flat")):
        tree.image(f"images/{name}.jpg", seed=seed)
    for name in ("a.jpg.xml", "b.XML", "sub/s1.xml", "deep/flat.xml"):
        tree.text(f"annotations/{name}", xml((10, 10, 40, 40)))
    tree.text("annotations/b.xml", xml((1, 1, 9, 9)))
    tree.text("annotations/other/sub.json", "{}")
    out = tree.stage("voc", **VOC)
    assert set(boxes(out)) == {"a:1", "b:1", "flat:1", "sub/s1:1"}
    assert account(out)["images"]["rejected"] == {"duplicate_row": 1}
    assert account(out)["notes"]["files that are not read"] == {".json": 1}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("<polygon><x1>10</x1><y1>5</y1><x2>40</x2><y2>8</y2><x3>20</x3><y3>30</y3></polygon>", [10, 5, 40, 30]),
        ("<polygon><pt><x>10</x><y>5</y></pt><pt><x>40</x><y>8</y></pt><pt><x>2</x><y>30</y></pt></polygon>",
         [2, 5, 40, 30]),
        # 20 x 10 about (30, 24), turned by a quarter: 10 x 20.
        ("<robndbox><cx>30</cx><cy>24</cy><w>20</w><h>10</h><angle>1.5707963267948966</angle></robndbox>",
         [25, 14, 35, 34]),
    ],
)  # fmt: skip
def test_polygon_and_rotated_box_of_an_xml_are_the_box_around_them(tree, shape, expected):
    tree.image("images/a.jpg", seed=1)
    tree.text("annotations/a.xml", xml(extra=f"<object><name>cap</name>{shape}</object>"))
    out = tree.stage("voc", **VOC)
    assert boxes(out) == {"a:1": expected}
    assert account(out)["objects"]["repaired"] == {"polygon": 1}


@pytest.mark.parametrize(
    ("orientation", "size", "expected"),
    [
        (6, (200, 120), {"p:1": [70, 150, 100, 190], "p:2": [30, 20, 90, 70]}),  # x' = 120 - y, y' = x
        (8, (200, 120), {"p:1": [20, 10, 50, 50], "p:2": [30, 130, 90, 180]}),  # x' = y, y' = 200 - x
        (5, (200, 120), {"p:1": [20, 150, 50, 190], "p:2": [30, 20, 90, 70]}),  # x' = y, y' = x
        (7, (200, 120), {"p:1": [70, 10, 100, 50], "p:2": [30, 130, 90, 180]}),  # x' = 120 - y, y' = 200 - x
    ],
)
def test_boxes_of_the_stored_picture_are_turned_with_it(tree, orientation, size, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    tree.image("images/p.jpg", seed=1, size=size, exif=exif)
    tree.text("annotations/p.xml", xml((150, 20, 190, 50), (20, 30, 70, 90), size=size))
    out = tree.stage("voc", **VOC)
    assert boxes(out) == expected
    assert account(out)["objects"]["repaired"] == {"turned_with_image": 2}


@pytest.mark.parametrize(("size", "unsure"), [((120, 200), None), ((0, 0), {"images": 1}), ((60, 100), {"images": 1})])
def test_boxes_of_the_upright_picture_stay_and_what_no_size_tells_is_counted(tree, size, unsure):
    exif = Image.Exif()
    exif[0x0112] = 6
    tree.image("images/p.jpg", seed=1, size=(200, 120), exif=exif)
    tree.text("annotations/p.xml", xml((20, 30, 70, 90), size=size))
    out = tree.stage("voc", **VOC)
    assert boxes(out) == {"p:1": [20, 30, 70, 90]}
    assert account(out)["notes"].get("turned by EXIF, boxes taken as drawn on the upright picture") == unsure


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_box_is_where_pillow_puts_its_pixels(orientation, tmp_path):
    from stages.contracts.images import decode

    picture = Image.new("RGB", (40, 24), "white")
    picture.paste("black", (4, 8, 16, 12))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "p.png", exif=exif)
    upright, _ = decode((tmp_path / "p.png").read_bytes())
    black = upright.convert("L").point(lambda value: 255 * (value < 128)).getbbox()
    assert turned([4, 8, 16, 12], orientation, (40, 24)) == list(black)


@pytest.mark.parametrize("reader", ["voc", "catalogue", "deepfashion2", "shoes"])
def test_image_whose_boxes_were_all_rejected_is_noted_by_every_reader(tree, reader):
    options = VOC if reader == "voc" else {}
    for number, name in enumerate(("good", "bad")):
        box = "1,1,30,30" if name == "good" else "1,1,1,30"
        numbers = [int(one) for one in box.split(",")]
        if reader == "deepfashion2":
            for split in ("train", "validation"):
                tree.image(f"{split}/image/{name}.jpg", seed=number + 10 * len(split))
                item = {"bounding_box": numbers if name == "good" else "none", "category_id": 1, "style": 0}
                tree.text(f"{split}/annos/{name}.json", json.dumps({"item1": item}))
        elif reader == "shoes":
            tree.image(f"training/boots/{name}.jpg", seed=number)
            tree.image(f"validation/boots/{name}2.jpg", seed=number + 10)
            entry = numbers if name == "good" else [1, 2, "x"]
            content = {
                "good.jpg": [[1, 1, 30, 30]],
                "good2.jpg": [[1, 1, 30, 30]],
                "bad.jpg": [entry],
                "bad2.jpg": [entry],
            }
            tree.text("annotations_boots.json", json.dumps(content))
        else:
            tree.image(f"images/{name}.jpg", seed=number)
            tree.text(f"annotations/{name}.xml", xml(numbers))
    if reader == "catalogue":
        catalogue(tree, ["good", "bad"])
        tree.annotation("b.csv", "image,superclass,x1,y1,x2,y2\ngood.jpg,top,1,1,30,30\nbad.jpg,top,1,1,?,30\n")
        options = {"catalogue": tree.catalogue | {"boxes": "b.csv"}}
    out = tree.stage(reader, **options)
    lost = pq.read_table(out / "unboxed.parquet")["image_id"].to_pylist()
    assert lost == {
        "voc": ["bad"], "catalogue": ["bad"], "deepfashion2": ["train-bad", "validation-bad"],
        "shoes": ["boots-training-bad", "boots-validation-bad2"],
    }[reader]  # fmt: skip


def test_polygon_in_the_shoes_json_is_the_box_around_it(tree):
    for folder in ("training", "validation"):
        tree.image(f"{folder}/boots/{folder}.jpg", seed=len(folder))
    shapes = {"training.JPG": [[1, 5, 30, 8, 20, 40]], "validation": [[[1, 5], [30, 8], [20, 40]]]}
    tree.text("annotations_boots.json", json.dumps(shapes))
    out = tree.stage("shoes")
    assert list(boxes(out).values()) == [[1, 5, 30, 40], [1, 5, 30, 40]]


def test_linked_folders_are_read_and_a_link_that_leads_nowhere_is_counted(tree, tmp_path):
    for seed in range(6):
        tree.image(f"../disk/part{seed % 2}/k{seed}.jpg", seed=seed)
    for seed in range(2):
        tree.image(f"images/direct{seed}.jpg", seed=10 + seed)
    for part in ("part0", "part1"):
        (tree.root / "images" / part).symlink_to(tmp_path / "disk" / part)
    (tree.root / "images" / "linked.jpg").symlink_to(tmp_path / "disk" / "part0" / "k0.jpg")
    (tree.root / "images" / "gone.jpg").symlink_to(tmp_path / "gone.jpg")
    (tree.root / "images" / "self").symlink_to("self")
    (tmp_path / "disk" / "part1" / "up").symlink_to(tree.root)
    (tmp_path / "disk" / "part1" / "all").symlink_to(tmp_path / "disk")
    catalogue(tree, [*(f"k{seed}" for seed in range(6)), "direct0", "direct1", "linked", "gone"])
    out = tree.stage("catalogue", duplicates="keep")
    assert len(shard_ids(out)) == 9
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["table"], row["key"], row["detail"]) for row in rows] == [
        ("images", "images/gone.jpg", "the link leads nowhere"),
        ("items", "images.csv:11", "gone.jpg: the link leads nowhere"),
    ]
    assert account(out)["notes"]["files that are not read"] == {
        "links that lead nowhere": 1, "links to folders that are read already": 2,
    }  # fmt: skip


def test_styles_csv_finds_images_in_subfolders_of_any_suffix_and_names_the_rest(tree):
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"
    row = "{},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\n"
    tree.text("styles.csv", header + "".join(map(row.format, ("001", "2", "3"))))
    tree.image("images/a/001.JPEG", seed=1)
    tree.image("images/2.webp", seed=2, kind="WEBP")
    tree.text("images/3.jxl", HEIC)
    tree.text("styles/1.json", "{}")
    out = tree.stage("fashion_products")
    assert shard_ids(out) == ["2", "a/001"]
    assert account(out)["items"]["rejected"] == {"unread_format": 1}
    assert account(out)["notes"]["files that are not read"] == {".json": 1}


TABLE = [
    ("image", "sender_id", "label", "kids"),
    ("001.jpg", "p1", "T\u00e9e, blue", "False"),
    ("1e3", "p2", "NA", "no"),
]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\n".join('"' + '","'.join(row) + '"' for row in TABLE), "utf-8-sig"),
        ("\r\n".join(";".join(row) for row in TABLE), "utf-8-sig"),  # Excel in most of Europe
        ("sep=;\r\n" + "\r\n".join(";".join(row) for row in TABLE), "utf-8"),
        ("\r\n".join("\t".join(row) for row in TABLE), "utf-16"),  # Excel's "Unicode text"
        ("\r\n".join(";".join(row) for row in TABLE) + "\r\n;;;\r\n;;;\r\n", "utf-8"),  # rows that were emptied
        ("\r\n".join(";".join(f" {cell}" if row is TABLE[0] else cell for cell in row) for row in TABLE), "utf-8"),
    ],
)
def test_table_that_excel_wrote_is_read_with_every_value_as_it_stands(tree, text, encoding):
    tree.text("images.csv", text.encode(encoding))
    tree.image("images/001.jpg", seed=1)
    tree.image("images/1e3.jpg", seed=2)
    out = tree.stage("catalogue")
    rows = pq.read_table(out / "items.parquet").to_pylist()
    assert [(row["image_id"], row["group"], row["label"], row["kids"]) for row in rows] == [
        ("001", "p1", "T\u00e9e, blue", "False"), ("1e3", "p2", "NA", "no"),
    ]  # fmt: skip
    assert account(out)["items"]["rejected"] == {}


def test_xml_in_an_encoding_of_several_bytes_is_read(tree):
    tree.image("images/a.jpg", seed=1)
    text = '<?xml version="1.0" encoding="gb2312"?>' + xml((1, 2, 20, 30), name="\u5e3d\u5b50")
    tree.text("annotations/a.xml", text.encode("gb2312"))
    out = tree.stage("voc", **VOC)
    assert pq.read_table(out / "objects.parquet")["class_name"].to_pylist() == ["\u5e3d\u5b50"]


def test_xml_of_another_format_makes_no_background(tree):
    for seed, name in enumerate("ab"):
        tree.image(f"images/{name}.jpg", seed=seed)
    tree.text("annotations/a.xml", "<annotations><image name='a.jpg'><box/></image></annotations>")
    tree.text("annotations/b.xml", xml((1, 1, 9, 9)))
    out = tree.stage("voc", **VOC)
    assert shard_ids(out) == ["b"]
    (reject,) = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (reject["reason"], reject["detail"]) == ("malformed_row", "a document <annotations>, expected <annotation>")


@pytest.mark.parametrize("folder", ["fashion-dataset", "myntradataset", "fashion-dataset/fashion-dataset"])
def test_styles_csv_is_found_where_its_archives_unpack_it(tree, folder):
    tree.text(
        f"{folder}/styles.csv",
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\r\n"
        "7,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\r\n",
    )
    tree.image(f"{folder}/images/7.jpg", seed=1)
    assert shard_ids(tree.stage("fashion_products")) == ["7"]


def test_images_and_annotations_in_the_root_and_in_one_folder_are_read(tree):
    for seed, split in enumerate(("train", "valid")):
        tree.image(f"{split}/a.jpg", seed=seed)
        tree.text(f"{split}/a.xml", xml((1, 1, 20, 20)))
    out = tree.stage("voc", voc={"annotations": ".", "images": ".", "first_pixel": 0})
    assert set(boxes(out)) == {"train/a:1", "valid/a:1"}


def test_what_phones_and_windows_leave_beside_photos_is_a_companion(tree):
    for name in ("IMG_1.AAE", "IMG_1.xmp", "IMG_1.jpg:Zone.Identifier", "desktop.ini", "IMG_2.MOV"):
        tree.text(f"images/{name}", b"\0")
    tree.image("images/IMG_1.jpg", seed=1)
    catalogue(tree, ["IMG_1"])
    assert account(tree.stage("catalogue"))["notes"]["files that are not read"] == {
        "*.aae": 1, "*.xmp": 1, "*:zone.identifier": 1, "desktop.ini": 1, ".mov": 1,
    }  # fmt: skip
