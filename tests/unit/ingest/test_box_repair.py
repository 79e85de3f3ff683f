"""Boxes become pixels inside their images and turn with them, and what was done to them is on record."""

import pytest
from PIL import Image
from trees import ZERO_BASED, account, boxes, voc_xml

from stages.contracts.ledger import Account
from stages.ingest.box_repair import CORNERS, extent, repair, to_pixels, turned


def boxed(*corners, object_id="o", image_id="i"):
    return {"object_id": object_id, "image_id": image_id, **dict(zip(CORNERS, corners, strict=True))}


def corners_of(rows):
    return [[row[corner] for corner in CORNERS] for row in rows]


@pytest.mark.parametrize(
    ("corners", "expected", "repairs"),
    [
        ((1, 2, 30, 40), [1, 2, 30, 40], {}),
        ((30, 40, 1, 2), [1, 2, 30, 40], {"reversed": 1}),
        ((30, 2, 1, 40), [1, 2, 30, 40], {"reversed": 1}),
        ((-5, -5, 30, 90), [0, 0, 30, 48], {"clipped": 1}),
        ((90, 10, 10, -3), [10, 0, 64, 10], {"reversed": 1, "clipped": 1}),
    ],
)
def test_boxes_are_repaired_and_counted(corners, expected, repairs):
    ledger = Account("x").ledger("objects")
    rows = repair([boxed(*corners)], {"i": (64, 48)}, ledger)
    assert corners_of(rows) == [expected]
    assert dict(ledger.repaired) == repairs


def test_repair_names_the_object_and_what_stood_there():
    ledger = Account("x").ledger("objects")
    repair([boxed(-5, 2, 30, 40, object_id="boots-1:2")], {"i": (64, 48)}, ledger)
    assert [(row.key, row.what, row.detail) for row in ledger.repairs] == [
        ("boots-1:2", "clipped", "[-5.0, 2.0, 30.0, 40.0] in an image of 64x48")
    ]


@pytest.mark.parametrize("corners", [(5, 5, 5, 20), (70, 5, 90, 20), (5, -20, 9, -1), (5, 5, 5.5, 20)])
def test_box_of_which_nothing_is_left_is_rejected(corners):
    ledger = Account("x").ledger("objects")
    assert repair([boxed(*corners)], {"i": (64, 48)}, ledger) == []
    assert [row.reason for row in ledger.rejects] == ["empty_box"]


def test_shares_become_pixels_of_their_image():
    ledger = Account("x").ledger("objects")
    rows = to_pixels([boxed(0.25, 0.5, 0.75, 1)], {"o": "share"}, {"i": (400, 200)}, None, ledger)
    assert corners_of(rows) == [[100, 100, 300, 200]]
    assert ledger.repairs == []


def test_what_six_decimals_leave_open_is_no_cut():
    """0.5000005 + 0.5 / 2 of a 4000 pixel side would end 2 thousandths of a pixel outside."""
    ledger = Account("x").ledger("objects")
    rows = to_pixels([boxed(-1e-6, 0, 1.000001, 1)], {"o": "share"}, {"i": (4000, 3000)}, None, ledger)
    assert corners_of(repair(rows, {"i": (4000, 3000)}, ledger)) == [[0, 0, 4000, 3000]]
    assert ledger.repairs == []


def test_box_of_a_picture_larger_than_the_display_is_scaled_back():
    # 1600x600 fits into 800x600 when halved: the box was drawn on a picture of 800x300.
    ledger = Account("x").ledger("objects")
    rows = to_pixels([boxed(10, 20, 400, 150)], {"o": "display"}, {"i": (1600, 600)}, (800, 600), ledger)
    assert corners_of(rows) == [[20, 40, 800, 300]]
    assert [(row.key, row.what) for row in ledger.repairs] == [("o", "scaled_from_display")]


@pytest.mark.parametrize(("size", "display"), [((800, 600), (800, 600)), ((300, 200), (800, 600)), ((1600, 600), None)])
def test_picture_that_fits_and_display_that_is_not_known_change_nothing(size, display):
    ledger = Account("x").ledger("objects")
    rows = to_pixels([boxed(10, 20, 40, 50)], {"o": "display"}, {"i": size}, display, ledger)
    assert corners_of(rows) == [[10, 20, 40, 50]]
    assert ledger.repairs == []


def test_box_of_a_rejected_image_waits_for_repair_to_reject_it():
    ledger = Account("x").ledger("objects")
    rows = to_pixels([boxed(0, 0, 1, 1)], {"o": "share"}, {}, None, ledger)
    assert repair(rows, {}, ledger) == []
    assert [row.reason for row in ledger.rejects] == ["image_rejected"]


def test_extent_shows_how_far_boxes_reach_and_how_large_images_are():
    rows = [boxed(700, 2, 30, 590, object_id="a"), boxed(1, 2, 640, 300, object_id="b"), boxed(0, 0, 1, 1)]
    sizes = {"i": (1600, 900), "j": (300, 1200)}
    assert extent(rows, {"o": "share"}, sizes) == {
        "largest x": 700, "largest y": 590, "largest width": 1600, "largest height": 1200,
    }  # fmt: skip
    assert extent([boxed(0, 0, 1, 1)], {"o": "share"}, sizes) == {}


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
    tree.text("annotations/p.xml", voc_xml((150, 20, 190, 50), (20, 30, 70, 90), size=size))
    out = tree.stage("voc", **ZERO_BASED)
    assert boxes(out) == expected
    assert account(out)["objects"]["repaired"] == {"turned_with_image": 2}


@pytest.mark.parametrize(("size", "unsure"), [((120, 200), None), ((0, 0), {"images": 1}), ((60, 100), {"images": 1})])
def test_boxes_of_the_upright_picture_stay_and_what_no_size_tells_is_counted(tree, size, unsure):
    exif = Image.Exif()
    exif[0x0112] = 6
    tree.image("images/p.jpg", seed=1, size=(200, 120), exif=exif)
    tree.text("annotations/p.xml", voc_xml((20, 30, 70, 90), size=size))
    out = tree.stage("voc", **ZERO_BASED)
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
