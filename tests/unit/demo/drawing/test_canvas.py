"""Where units land on the canvas, which pixels belong to which garment, and details clipped to them."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from stages.demo.drawing.canvas import Canvas, Frame, inks_of
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.palette import NAMED_COLORS, luminance
from stages.demo.drawing.trims import band

# On the canvas, which is twice as large: pixels 20 to 40 across and 30 to 50 down.
SQUARE = [(20, 30), (40, 30), (40, 50), (20, 50)]


@pytest.fixture
def canvas():
    return Canvas((60, 40), Image.new("RGB", (60, 40), (100, 100, 100)))


@pytest.fixture
def tee():
    return make_garment(Random(0), "tshirt", "Men", color="Red", fabric="cotton", pattern="pure color")


def test_units_are_scaled_and_moved_and_mirrored():
    assert Frame(10, 20, 2).pixel((3, 4)) == (16, 28)
    assert Frame(10, 20, 2, flip=True).pixels([(3, 4), (-1, 0)]) == [(4, 28), (12, 20)]


def test_frame_within_a_frame_has_units_of_its_own():
    assert Frame(10, 20, 2).within(3, 4, 0.5) == Frame(16, 28, 1.0)
    assert Frame(10, 20, 2, flip=True).within(3, 4, 0.5, flip=True) == Frame(4, 28, 1.0, flip=False)


def test_box_of_a_garment_is_around_its_pixels_at_the_final_size(canvas, tee):
    canvas.panel(tee, SQUARE, (30, 40), 1.0, 1)
    assert canvas.boxes() == {1: (10, 15, 21, 26)}  # 20 // 2, 30 // 2, and half of 41 and 51 rounded up


def test_what_hides_a_garment_shrinks_its_box_and_all_of_it_takes_the_box_away(canvas, tee):
    canvas.panel(tee, SQUARE, (30, 40), 1.0, 1)
    canvas.polygon([(0, 0), (29, 0), (29, 79), (0, 79)], (1, 2, 3))  # up to column 29
    assert canvas.boxes() == {1: (15, 15, 21, 26)}
    canvas.panel(tee, [(0, 0), (119, 0), (119, 79), (0, 79)], (0, 0), 1.0, 2)
    assert canvas.boxes() == {2: (0, 0, 60, 40)}


def test_panel_outside_of_the_canvas_is_not_drawn(canvas, tee):
    before = canvas.image.tobytes()
    canvas.panel(tee, [(200, 200), (220, 200), (220, 220)], (0, 0), 1.0, 1)
    assert canvas.image.tobytes() == before and canvas.boxes() == {}


def test_details_are_clipped_to_the_pixels_of_their_garment(canvas, tee):
    canvas.panel(tee, SQUARE, (30, 40), 1.0, 1)
    before = np.asarray(canvas.image).copy()
    canvas.trims(tee, [band("gold", 38, 42)], Frame(0, 0, 1.0), 1)
    changed = (np.asarray(canvas.image) != before).any(2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == (20, 40)
    assert (rows.min(), rows.max()) == (38, 42)


def test_cloth_of_chiffon_lets_the_background_through(tee):
    colors = []
    for fabric in ("cotton", "chiffon"):
        canvas = Canvas((60, 40), Image.new("RGB", (60, 40), "white"))
        garment = make_garment(Random(0), "tshirt", "Men", color="Black", fabric=fabric, pattern="pure color")
        canvas.panel(garment, SQUARE, (30, 40), 1.0, 1)
        colors.append(np.asarray(canvas.image)[34:47, 24:37].mean())
    # 200 of 255 parts are cloth: the rest of white adds 55.
    assert colors[1] - colors[0] > 40


def test_fur_has_tufts_beyond_its_outline(canvas):
    fur = make_garment(Random(0), "coat", "Men", fabric="furry", pattern="pure color")
    canvas.panel(fur, SQUARE, (30, 40), 1.0, 1)
    x0, y0, x1, y1 = canvas.boxes()[1]
    assert x0 < 10 and y0 < 15 and x1 > 21 and y1 > 26


def test_finished_image_has_its_final_size_and_little_noise(canvas):
    pixels = np.asarray(canvas.finish(Random(3), noise=3)).astype(int)
    assert pixels.shape == (40, 60, 3)
    means = pixels.mean((0, 1))
    assert (np.abs(means - 100) <= 9).all()  # lit by 6 %, tinted by 2 %, each rounded down
    assert (np.abs(pixels - means) <= 4.5).all()
    assert np.array_equal(np.asarray(canvas.finish(Random(3), noise=3)), pixels)


@pytest.mark.parametrize("name", NAMED_COLORS)
def test_inks_are_colors_and_the_contrast_can_be_told_from_the_cloth(name):
    for kind in ("tshirt", "boot", "cap"):
        garment = make_garment(Random(name), kind, "Women", color=name)
        inks = inks_of(garment)
        assert all(len(ink) == 3 and all(0 <= value <= 255 for value in ink) for ink in inks.values())
        assert abs(luminance(inks["contrast"]) - luminance(garment.rgb)) > 50
        assert abs(luminance(inks["gold"]) - luminance(garment.rgb)) > 30
