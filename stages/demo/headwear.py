"""Draw a demo in the headwear set's format: Pascal VOC, one class `cap`, people and flat caps.

Writes: OUT/images/*.jpg and OUT/annotations/*.xml, defects of the original included.
Params: demo.headwear
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from xml.sax.saxutils import escape

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.core.progress import track
from stages.core.stage import run_stage
from stages.demo.backgrounds import scene_background
from stages.demo.canvas import Box
from stages.demo.figures import Photo, flat_photo, worn_photo
from stages.demo.garments import make_garment
from stages.demo.outfits import companions
from stages.demo.people import random_person
from stages.demo.writing import jpeg_bytes, picked, png_bytes, rng_for, write_bytes, write_text

SOURCE = "headwear"
USAGES = ("Casual", "Casual", "Casual", "Sports", "Ethnic", "Formal")


class HeadwearDemo(Section):
    """Section demo.headwear of params.yaml."""

    seed: int
    images: int = Field(ge=8)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    flat_percent: int = Field(ge=0, le=100)
    defects: int = Field(ge=0)


def draw_cap(params: HeadwearDemo, index: int) -> Photo:
    """Picture number index; the cap has index 0 in its boxes."""
    rng = rng_for(params.seed, SOURCE, index)
    size, gender = (params.width, params.height), rng.choice(("Men", "Women"))
    cap = make_garment(rng, "cap", gender, usage=rng.choice(USAGES))
    if rng.randrange(100) < params.flat_percent:
        background = scene_background(rng, size) if rng.random() < 0.2 else None
        return flat_photo(rng, size, cap, background, rng.randint(45, 94))
    view = rng.choice(("front", "front", "side", "side", "back"))
    # head and shoulders mostly, sometimes half or all of the person, as in catalogue photos
    bottom = rng.choice((220, 250, 280, 300, 330, 380, 460, 640, 1030))
    return worn_photo(
        rng,
        size,
        random_person(rng, gender),
        [cap, *companions(rng, cap, gender)],
        view,
        (-50, bottom),
        None,
        rng.randint(-14, 14) / 100,
    )


def voc_xml(filename: str, size: tuple[int, int], boxes: list[Box]) -> str:
    """A labelImg file: 0-based coordinates, exclusive ends."""
    objects = "".join(
        f"\t<object>\n\t\t<name>cap</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n"
        f"\t\t<bndbox>\n\t\t\t<xmin>{x0}</xmin>\n\t\t\t<ymin>{y0}</ymin>\n\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for x0, y0, x1, y1 in boxes
    )
    return (
        f"<annotation>\n\t<folder>images</folder>\n\t<filename>{escape(filename)}</filename>\n\t<path>C:\\caps\\images\\{escape(filename)}</path>\n"
        f"\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )


def main(args: argparse.Namespace, params: SimpleNamespace) -> None:
    """Write images and annotations; the defects hit images of their own."""
    demo: HeadwearDemo = params.demo
    out: Path = fresh_folder(args.out)
    chance, taken, defects = rng_for(demo.seed, SOURCE, "defects"), set[int](), {}
    counts = {"duplicate": 1, "size": demo.defects, "extension": demo.defects, "reversed": 1, "png": 2, "corrupt": 1}
    for name, count in counts.items():
        hit = picked(chance, demo.images, count if demo.defects else 0, taken)
        defects[name] = set(hit)
        taken |= defects[name]
        if name == "duplicate":  # what it repeats must stay sound
            taken |= {(index + 1) % demo.images for index in hit}
    for index in track(range(demo.images), total=demo.images, desc=f"draw {SOURCE}"):
        # a duplicate repeats its neighbour's picture and box under a name of its own
        photo = draw_cap(demo, (index + 1) % demo.images if index in defects["duplicate"] else index)
        stem, size = f"cap_{index + 1:04d}", photo.image.size
        content = png_bytes(photo.image) if index in defects["png"] else jpeg_bytes(photo.image)
        if index in defects["corrupt"]:
            content = content[: len(content) // 3]
        boxes = [photo.boxes[0]] if 0 in photo.boxes else []
        if index in defects["reversed"]:
            boxes = [(x1, y1, x0, y0) for x0, y0, x1, y1 in boxes]
        write_bytes(out / "images" / f"{stem}.jpg", content)
        filename = f"{stem}.{'png' if index in defects['extension'] else 'jpg'}"
        write_text(
            out / "annotations" / f"{stem}.xml", voc_xml(filename, (0, 0) if index in defects["size"] else size, boxes)
        )


if __name__ == "__main__":
    run_stage(main, arguments=["out"], params={"demo": ("demo.headwear", HeadwearDemo)})
