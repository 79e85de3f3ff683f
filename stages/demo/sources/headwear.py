"""Draw a demo in the headwear set's format: Pascal VOC, one class `cap`, people and flat caps.

Writes: OUT/images/*.{jpg,png} and OUT/annotations/*.xml, defects of the original included;
        TRUTH/garments.parquet, what the images really show.
Params: demo.headwear
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.demo.drawing.backgrounds import scene_background
from stages.demo.drawing.encoding import (
    jpeg_bytes,
    near_duplicate_bytes,
    picked,
    png_bytes,
    rng_for,
    turned_jpeg_bytes,
    write_bytes,
    write_text,
)
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.outfits import companions
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo
from stages.demo.sources.headwear_xml import HOSTILE_XML, voc_xml
from stages.demo.truth import Named, Row, garment_rows, write_truth
from stages.runner.progress import track

SOURCE = "headwear"
USAGES = ("Casual", "Casual", "Casual", "Sports", "Ethnic", "Formal")
# Two generators choose the images: the second draws what came later and leaves the first one's choices alone.
OLDER_DEFECTS = ("duplicates", "zero_sizes", "wrong_extensions", "reversed_boxes", "png_named_jpg", "corrupt")
NEWER_DEFECTS = (
    "jpeg_named_png",
    "rgba",
    "greyscale",
    "float_coordinates",
    "hostile_xml",
    "exif_rotated",
    "near_duplicates",
)
PNG_FILES = ("jpeg_named_png", "rgba")  # whose name ends in .png


class HeadwearDemo(Section):
    """Section demo.headwear of params.yaml. Every defect but the Windows path hits images of its own."""

    seed: int
    images: int = Field(ge=8)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    flat_percent: int = Field(ge=0, le=100)
    duplicates: int = Field(ge=0)
    zero_sizes: int = Field(ge=0)
    wrong_extensions: int = Field(ge=0)
    reversed_boxes: int = Field(ge=0)
    png_named_jpg: int = Field(ge=0)
    corrupt: int = Field(ge=0)
    jpeg_named_png: int = Field(ge=0)
    rgba: int = Field(ge=0)
    greyscale: int = Field(ge=0)
    float_coordinates: int = Field(ge=0)
    hostile_xml: int = Field(ge=0)
    exif_rotated: int = Field(ge=0)
    near_duplicates: int = Field(ge=0)
    windows_paths: int = Field(ge=0)


@dataclass(frozen=True)
class Entry:
    """One image file: its number, the picture it shows, and its defects."""

    index: int
    picture: int
    defects: frozenset[str]

    @property
    def stem(self) -> str:
        """Name of the image and of its XML."""
        return stem_of(self.index)


def stem_of(index: int) -> str:
    """Name of picture number index."""
    return f"cap_{index + 1:04d}"


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


def plan(demo: HeadwearDemo) -> list[Entry]:
    """Every image file; near duplicates come after the others, so that they leave the others as they are."""
    taken: set[int] = set()
    hit: dict[str, set[int]] = {}
    for names, chance in (
        (OLDER_DEFECTS, rng_for(demo.seed, SOURCE, "defects")),
        (NEWER_DEFECTS, rng_for(demo.seed, SOURCE, "defects", "newer")),
    ):
        for name in names:
            hit[name] = set(picked(chance, demo.images, getattr(demo, name), taken))
            taken |= hit[name]
            if name == "duplicates":  # what it repeats must stay sound
                taken |= {(index + 1) % demo.images for index in hit[name]}
    hit["windows_paths"] = set(picked(rng_for(demo.seed, SOURCE, "paths"), demo.images, demo.windows_paths))
    repeated = sorted(hit.pop("near_duplicates"))
    entries = []
    for index in range(demo.images):
        defects = frozenset(name for name, indices in hit.items() if index in indices)
        # a duplicate repeats its neighbour's picture and box under a name of its own
        picture = (index + 1) % demo.images if "duplicates" in defects else index
        entries.append(Entry(index, picture, defects))
    near = frozenset({"near_duplicates"})
    return entries + [Entry(demo.images + number, picture, near) for number, picture in enumerate(repeated)]


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
    content = jpeg_bytes(image.convert("L") if "greyscale" in defects else image)
    return content[: len(content) // 3] if "corrupt" in defects else content


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


def write_source(demo: HeadwearDemo, out: Path, truth: Path) -> None:
    """Write images, annotations and the ground truth."""
    fresh_folder(out)
    rows: list[Row] = []
    entries = plan(demo)
    for entry in track(entries, total=len(entries), desc=f"draw {SOURCE}"):
        photo = draw_cap(demo, entry.picture)
        file = f"{entry.stem}.{'png' if entry.defects & set(PNG_FILES) else 'jpg'}"
        write_bytes(out / "images" / file, encoded(photo.image, entry.defects))
        write_text(out / "annotations" / f"{entry.stem}.xml", annotation(entry, photo, file))
        if "corrupt" not in entry.defects:  # a file that cannot be decoded shows nothing
            item = None if "hostile_xml" in entry.defects else f"{entry.stem}:1"
            names = {0: Named(stem_of(entry.picture), item)}
            rows += garment_rows(entry.stem, photo, names, picture=stem_of(entry.picture))
    write_truth(truth, rows)


PARAMS = HeadwearDemo
