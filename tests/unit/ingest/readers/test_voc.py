"""Pascal VOC trees, and what labeling tools and people get wrong in them."""

import io
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image
from trees import ZERO_BASED, account, boxes, shard_ids, voc_xml

from stages.core.errors import StageError


def xml(*objects, name="cap1.jpg", size=(64, 48)):
    return (
        f"<annotation><folder>x</folder><filename>{name}</filename><path>C:\\Users\\me\\{name}</path>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        + "".join(objects)
        + "</annotation>"
    )


def thing(x1, y1, x2, y2, name="cap"):
    return (
        f"<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
    )


def corners(reading):
    return [[row[key] for key in ("x1", "y1", "x2", "y2")] for row in reading.objects]


def one(tree, text, image="images/cap1.jpg", **options):
    tree.image(image, **options)
    tree.text("annotations/cap1.xml", text)
    return tree


def zero_based(tree):
    return {"voc": {"annotations": "annotations", "images": "images", "first_pixel": 0}}


def test_one_based_corners_become_zero_based_with_an_open_end(tree):
    # VOC's 1..10 covers the first ten pixels: [0, 10).
    reading, _, _ = one(tree, xml(thing(1, 1, 10, 20))).read("voc")
    assert corners(reading) == [[0, 0, 10, 20]]
    assert reading.objects[0]["class_name"] == "cap"


def test_zero_based_corners_stay(tree):
    reading, _, _ = one(tree, xml(thing(1, 1, 10, 20))).read("voc", **zero_based(tree))
    assert corners(reading) == [[1, 1, 10, 20]]


def test_reversed_box_is_swapped_before_the_shift_and_counted(tree):
    reading, ledgers, _ = one(tree, xml(thing(10, 20, 1, 1))).read("voc")
    assert corners(reading) == [[0, 0, 10, 20]]
    assert ledgers["objects"]["repaired"] == {"reversed": 1}


def test_float_coordinates_are_read(tree):
    reading, _, _ = one(tree, xml(thing("1.5", "2.25", " 10.0 ", "1e1"))).read("voc")
    assert corners(reading) == [[0.5, 1.25, 10, 10]]


def test_image_is_found_by_the_stem_of_the_xml(tree):
    reading, _, _ = one(tree, xml(thing(1, 1, 9, 9), name="other.png")).read("voc")
    assert [image.path.name for image in reading.images] == ["cap1.jpg"]


def test_size_zero_is_read_from_the_image(tree):
    tree.image("images/cap1.jpg")
    tree.text("annotations/cap1.xml", xml(thing(1, 1, 10, 20), size=(0, 0)))
    out = tree.stage("voc", shards=1)
    assert pq.read_table(out / "shard-0000.parquet", columns=["width", "height"]).to_pylist() == [
        {"width": 64, "height": 48}
    ]
    assert pq.read_table(out / "objects.parquet")["x2"].to_pylist() == [10]


def test_png_data_named_jpg_is_stored_as_jpeg(tree):
    one(tree, xml(thing(1, 1, 10, 20)), kind="PNG")
    out = tree.stage("voc", shards=1)
    assert pq.read_table(out / "shard-0000.parquet")["bytes"].to_pylist()[0][:3] == b"\xff\xd8\xff"
    assert '"format": 1' in (out / "account.json").read_text()


@pytest.mark.parametrize(
    ("name", "kind", "mode", "repairs"),
    [
        ("cap1.png", "JPEG", "RGB", {}),  # JPEG data named .png is a JPEG
        ("cap1.png", "PNG", "RGBA", {"format": 1, "mode": 1}),
        ("cap1.jpg", "JPEG", "L", {"mode": 1}),
        ("cap1.jpg", "PNG", "P", {"format": 1, "mode": 1}),
    ],
)
def test_images_of_other_kinds_are_stored_as_rgb_jpeg_and_counted(tree, name, kind, mode, repairs):
    stream = io.BytesIO()
    tree.picture(3).convert(mode).save(stream, kind)
    tree.text(f"images/{name}", stream.getvalue())
    tree.text("annotations/cap1.xml", xml(thing(1, 1, 10, 20)))
    out = tree.stage("voc", shards=1)
    (row,) = pq.read_table(out / "shard-0000.parquet").to_pylist()
    assert Image.open(io.BytesIO(row["bytes"])).mode == "RGB"
    assert json.loads((out / "account.json").read_text())["images"]["repaired"] == repairs


def test_box_of_a_turned_photo_is_that_of_the_upright_picture(tree):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 64x48, shown 48x64
    one(tree, xml(thing(1, 1, 48, 64)), exif=exif)
    out = tree.stage("voc", shards=1)
    (row,) = pq.read_table(out / "objects.parquet").to_pylist()
    assert [row[key] for key in ("x1", "y1", "x2", "y2")] == [0, 0, 48, 64]
    account = json.loads((out / "account.json").read_text())
    assert account["images"]["repaired"] == {"exif_rotation": 1}
    assert account["objects"]["repaired"] == {}


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
FILE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("head", [BOMB, FILE])
def test_entity_declarations_are_rejected(tree, rejects, head):
    _, ledgers, account = one(tree, head + xml(thing(1, 1, 9, 9, name="&b;"))).read("voc")
    assert rejects(account) == [("images", "cap1.xml", "malformed_row")]
    assert "Entit" in account.ledgers["images"].rejects[0].detail
    assert ledgers["images"]["rows_in"] == 1


@pytest.mark.parametrize("text", ["", "<annotation>", "no xml", '<?xml version="1.0" encoding="gb2312"?><a/>'])
def test_malformed_xml_is_rejected(tree, rejects, text):
    _, _, account = one(tree, text).read("voc")
    assert rejects(account) == [("images", "cap1.xml", "malformed_row")]


def test_xml_with_an_encoding_nobody_knows_is_rejected(tree, rejects):
    """The parser raises LookupError for it, which is no ParseError."""
    _, _, account = one(tree, '<?xml version="1.0" encoding="bogus"?><annotation/>').read("voc")
    assert rejects(account) == [("images", "cap1.xml", "malformed_row")]


@pytest.mark.parametrize("bad", [thing("", 1, 9, 9), thing("x", 1, 9, 9), thing(1, 1, 9, 9, name=" "), "<object/>"])
def test_object_without_a_name_or_four_numbers_is_rejected(tree, rejects, bad):
    reading, ledgers, account = one(tree, xml(bad, thing(1, 1, 9, 9))).read("voc")
    assert rejects(account) == [("objects", "cap1:1", "malformed_box")]
    assert (len(reading.objects), ledgers["objects"]["rows_in"]) == (1, 2)


def test_annotation_without_image_and_image_without_annotation_are_counted(tree, rejects):
    one(tree, xml(thing(1, 1, 9, 9)))
    tree.text("annotations/gone.xml", xml(thing(1, 1, 9, 9), thing(2, 2, 8, 8)))
    tree.image("images/lone.jpg", seed=4)
    _, ledgers, account = tree.read("voc")
    assert rejects(account) == [
        ("images", "gone.xml", "missing_image"),
        ("images", "lone.jpg", "no_annotation"),
        ("objects", "gone.xml:1", "image_rejected"),
        ("objects", "gone.xml:2", "image_rejected"),
    ]
    assert (ledgers["images"]["rows_in"], ledgers["objects"]["rows_in"]) == (3, 3)


def test_two_images_that_share_a_stem_are_both_accounted_for(tree):
    """cap1.jpg and cap1.png beside one cap1.xml: two files were found, so two rows come in."""
    one(tree, xml(thing(1, 1, 9, 9)))
    tree.image("images/cap1.png", seed=7, kind="PNG")
    _, ledgers, _ = tree.read("voc")
    assert ledgers["images"]["rows_in"] == 2


def test_image_without_objects_is_kept(tree):
    reading, _, _ = one(tree, xml()).read("voc")
    assert (len(reading.images), reading.objects) == (1, [])


def test_empty_options_name_the_key(tree):
    with pytest.raises(StageError, match="`ingest.src.voc` is empty"):
        tree.read("voc", voc=None)


def test_annotations_in_subfolders_of_any_capitals_and_with_the_images_suffix_are_read(tree):
    for seed, name in enumerate(("a", "b", "sub/s1", "flat")):
        tree.image(f"images/{name}.jpg", seed=seed)
    for name in ("a.jpg.xml", "b.XML", "sub/s1.xml", "deep/flat.xml"):
        tree.text(f"annotations/{name}", voc_xml((10, 10, 40, 40)))
    tree.text("annotations/b.xml", voc_xml((1, 1, 9, 9)))
    tree.text("annotations/other/sub.json", "{}")
    out = tree.stage("voc", **ZERO_BASED)
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
    tree.text("annotations/a.xml", voc_xml(extra=f"<object><name>cap</name>{shape}</object>"))
    out = tree.stage("voc", **ZERO_BASED)
    assert boxes(out) == {"a:1": expected}
    assert account(out)["objects"]["repaired"] == {"polygon": 1}


def test_xml_in_an_encoding_of_several_bytes_is_read(tree):
    tree.image("images/a.jpg", seed=1)
    text = '<?xml version="1.0" encoding="gb2312"?>' + voc_xml((1, 2, 20, 30), name="\u5e3d\u5b50")
    tree.text("annotations/a.xml", text.encode("gb2312"))
    out = tree.stage("voc", **ZERO_BASED)
    assert pq.read_table(out / "objects.parquet")["class_name"].to_pylist() == ["\u5e3d\u5b50"]


def test_xml_of_another_format_makes_no_background(tree):
    for seed, name in enumerate("ab"):
        tree.image(f"images/{name}.jpg", seed=seed)
    tree.text("annotations/a.xml", "<annotations><image name='a.jpg'><box/></image></annotations>")
    tree.text("annotations/b.xml", voc_xml((1, 1, 9, 9)))
    out = tree.stage("voc", **ZERO_BASED)
    assert shard_ids(out) == ["b"]
    (reject,) = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (reject["reason"], reject["detail"]) == ("malformed_row", "a document <annotations>, expected <annotation>")


def test_images_and_annotations_in_the_root_and_in_one_folder_are_read(tree):
    for seed, split in enumerate(("train", "valid")):
        tree.image(f"{split}/a.jpg", seed=seed)
        tree.text(f"{split}/a.xml", voc_xml((1, 1, 20, 20)))
    out = tree.stage("voc", voc={"annotations": ".", "images": ".", "first_pixel": 0})
    assert set(boxes(out)) == {"train/a:1", "valid/a:1"}
