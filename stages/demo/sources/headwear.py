"""Draw a demo in the headwear set's format: Pascal VOC, one class `cap`, people and flat caps.

Writes: OUT/images/*.{jpg,png} and OUT/annotations/*.xml, defects of the original included;
        TRUTH/garments.parquet, the ground truth.
Params: demo.headwear
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image
from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import companions, make_garment
from stages.demo.drawing.palette import scene_background
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import (
    Photo,
    flat_photo,
    jpeg_bytes,
    near_duplicate_bytes,
    png_bytes,
    turned_jpeg_bytes,
    worn_photo,
)
from stages.demo.sources.shared import DefectPlan, rng_for, write_bytes, write_text
from stages.demo.truth import Named, Row, garment_rows, write_truth

SOURCE = "headwear"
USAGES = ("Casual", "Casual", "Casual", "Sports", "Ethnic", "Formal")
# Defects of single images; `duplicates` and `near_duplicates` repeat an image.
SINGLE_DEFECTS = (
    "zero_sizes", "wrong_extensions", "reversed_boxes", "png_named_jpg", "corrupt", "jpeg_named_png", "rgba",
    "grayscale", "float_coordinates", "hostile_xml", "exif_rotated",
)  # fmt: skip
PNG_FILES = ("jpeg_named_png", "rgba")  # whose name ends in .png
# Entities that grow when expanded, and one that reads a file; a safe parser refuses all declarations.
HOSTILE_XML = """<?xml version="1.0"?>
<!DOCTYPE annotation [
  <!ENTITY a "caps caps caps caps">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
  <!ENTITY local SYSTEM "file:///etc/hostname">
]>
<annotation>
  <filename>{file}</filename>
  <source><database>&b;&local;</database></source>
  <object><name>cap</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>
"""


class HeadwearDemo(Section):
    """Section demo.headwear of params.yaml.

    Each image has at most one defect, apart from the Windows path. Counts are just large enough that a reader which
    ignores the defect fails a test.

    Attributes:
        images: upstream has about 650.
        width, height: pixels.
        flat_percent: of images with caps alone; the rest show people.
        duplicates: images with the bytes of another one.
        zero_sizes: XML files with width and height 0.
        wrong_extensions: XML files whose <filename> says .png where the image is a .jpg.
        reversed_boxes: corners swapped.
        png_named_jpg: PNG data in a file named .jpg.
        corrupt: image files cut off after a third.
        jpeg_named_png: JPEG data in a file named .png.
        rgba: PNG files with an alpha channel.
        grayscale: JPEG files with one channel.
        float_coordinates: XML files with coordinates such as 12.25.
        hostile_xml: XML files with entity declarations; their images have no annotation.
        exif_rotated: pixels stored turned, with an EXIF tag; the box is that of the upright picture.
        near_duplicates: additional images: another one a little brighter, at another JPEG quality, with its own XML.
        windows_paths: XML files whose <path> is C:\\caps\\images\\...; they may have another defect too.
    """

    seed: int
    images: int = Field(ge=8)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    flat_percent: int = Field(ge=0, le=100)
    duplicates: int = Field(1, ge=0)
    zero_sizes: int = Field(3, ge=0)
    wrong_extensions: int = Field(3, ge=0)
    reversed_boxes: int = Field(1, ge=0)
    png_named_jpg: int = Field(2, ge=0)
    corrupt: int = Field(1, ge=0)
    jpeg_named_png: int = Field(2, ge=0)
    rgba: int = Field(2, ge=0)
    grayscale: int = Field(2, ge=0)
    float_coordinates: int = Field(3, ge=0)
    hostile_xml: int = Field(1, ge=0)
    exif_rotated: int = Field(2, ge=0)
    near_duplicates: int = Field(3, ge=0)
    windows_paths: int = Field(40, ge=0)


@dataclass(frozen=True)
class Entry:
    """One image file: its number, the picture it shows, and its defects."""

    index: int
    picture: int
    defects: frozenset[str] = frozenset()

    @property
    def stem(self) -> str:
        """Name of the image and of its XML."""
        return stem_of(self.index)


def stem_of(index: int) -> str:
    """Name of picture number index."""
    return f"cap_{index + 1:04d}"


def jobs(demo: HeadwearDemo) -> list[Entry]:
    """Every image file; near duplicates come after the others."""
    plan = DefectPlan(demo.seed, SOURCE, demo.images)
    # A duplicate repeats its neighbor's picture and box under another name; the neighbor must have no defect.
    hit = {"duplicates": plan.take(demo.duplicates, range(0, demo.images - 1, 2))}
    plan.exclude(index + 1 for index in hit["duplicates"])
    hit |= {name: plan.take(getattr(demo, name)) for name in SINGLE_DEFECTS}
    repeated = plan.take(demo.near_duplicates)
    hit["windows_paths"] = plan.rng.sample(range(demo.images), min(demo.windows_paths, demo.images))
    entries = [
        Entry(
            index,
            index + 1 if index in hit["duplicates"] else index,
            frozenset(name for name, indices in hit.items() if index in indices),
        )
        for index in range(demo.images)
    ]
    near = frozenset({"near_duplicates"})
    return entries + [Entry(demo.images + number, picture, near) for number, picture in enumerate(repeated)]


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
    person, clothes = random_person(rng, gender), [cap, *companions(rng, cap, gender)]
    return worn_photo(rng, size, person, clothes, view, (-50, bottom), None, rng.randint(-14, 14) / 100)


def encoded(image: Image.Image, defects: frozenset[str]) -> bytes:
    """The image file of an entry."""
    if "png_named_jpg" in defects:
        return png_bytes(image)
    if "rgba" in defects:
        return png_bytes(image.convert("RGBA"))
    if "exif_rotated" in defects:
        return turned_jpeg_bytes(image)
    if "near_duplicates" in defects:
        return near_duplicate_bytes(image)
    content = jpeg_bytes(image.convert("L") if "grayscale" in defects else image)
    return content[: len(content) // 3] if "corrupt" in defects else content


def voc_xml(filename: str, path: str, size: tuple[int, int], boxes: Sequence[tuple[float, float, float, float]]) -> str:
    """A labelImg file: 0-based coordinates, exclusive ends."""
    objects = "".join(
        f"\t<object>\n\t\t<name>cap</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x0}</xmin>\n\t\t\t<ymin>{y0}</ymin>\n"
        f"\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for x0, y0, x1, y1 in boxes
    )
    return (
        f"<annotation>\n\t<folder>images</folder>\n\t<filename>{escape(filename)}</filename>\n"
        f"\t<path>{escape(path)}</path>\n\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def annotation(entry: Entry, photo: Photo, file: str) -> str:
    """The XML of an entry."""
    defects = entry.defects
    if "hostile_xml" in defects:
        return HOSTILE_XML.format(file=file)
    boxes: list[tuple[float, float, float, float]] = [photo.boxes[0]] if 0 in photo.boxes else []
    if "reversed_boxes" in defects:
        boxes = [(x1, y1, x0, y0) for x0, y0, x1, y1 in boxes]
    if "float_coordinates" in defects:  # as after a resize: less than half a pixel inside the whole numbers
        boxes = [(x0 + 0.25, y0 + 0.25, x1 - 0.25, y1 - 0.25) for x0, y0, x1, y1 in boxes]
    return voc_xml(
        f"{entry.stem}.png" if "wrong_extensions" in defects else file,
        f"C:\\caps\\images\\{file}" if "windows_paths" in defects else f"/caps/images/{file}",
        (0, 0) if "zero_sizes" in defects else photo.image.size,
        boxes,
    )


def draw(demo: HeadwearDemo, entry: Entry) -> tuple[str, bytes, str, list[Row]]:
    """An entry's file name, image, XML and ground truth."""
    photo = draw_cap(demo, entry.picture)
    file = f"{entry.stem}.{'png' if entry.defects & set(PNG_FILES) else 'jpg'}"
    rows = []
    if "corrupt" not in entry.defects:  # a file that cannot be decoded shows nothing
        item = None if "hostile_xml" in entry.defects else f"{entry.stem}:1"
        names = {0: Named(stem_of(entry.picture), item)}
        rows = garment_rows(entry.stem, photo, names, picture=stem_of(entry.picture))
    return file, encoded(photo.image, entry.defects), annotation(entry, photo, file), rows


def write(demo: HeadwearDemo, drawn: list[tuple[str, bytes, str, list[Row]]], out: Path, truth: Path) -> None:
    """Write images, annotations and the ground truth."""
    for file, content, xml, _ in drawn:
        write_bytes(out / "images" / file, content)
        write_text(out / "annotations" / f"{Path(file).stem}.xml", xml)
    write_truth(truth, [row for *_, rows in drawn for row in rows])


PARAMS = HeadwearDemo
