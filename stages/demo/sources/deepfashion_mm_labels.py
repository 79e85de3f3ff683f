"""DeepFashion-MultiModal's label files: codes of fabric, pattern and shape, one line for each image file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from stages.demo.drawing.encoding import write_text
from stages.demo.drawing.garments import Garment

FABRIC_IDS = {"denim": 0, "cotton": 1, "leather": 2, "furry": 3, "knitted": 4, "chiffon": 5}
PATTERN_IDS = {"floral": 0, "graphic": 1, "striped": 2, "pure color": 3, "lattice": 4, "color block": 6}
MISSING = 7  # "NA" in both files
SHAPE_NA = "5 4 3 2 4 2 2 2 4 6 2 2"
FILES = ("shape/shape_anno_all.txt", "texture/fabric_ann.txt", "texture/pattern_ann.txt")
Codes = tuple[str, str, str]  # shape, fabric and pattern of one photo


def texture_line(garments: Iterable[Garment], ids: dict[str, int], attribute: str, omitted: Collection[str]) -> str:
    """`upper lower outer` for the garments that a photo shows; NA for the layers that the annotator omitted."""
    values = {"upper": MISSING, "lower": MISSING, "outer": MISSING}
    for garment in garments:
        if garment.cut.layer in values and garment.cut.layer not in omitted:
            values[garment.cut.layer] = ids[getattr(garment, attribute)]
    return f"{values['upper']} {values['lower']} {values['outer']}"


def shape_line(garments: Iterable[Garment]) -> str:
    """s0..s11 (docs/datasets.md) for the garments that a photo shows."""
    values = [int(value) for value in SHAPE_NA.split()]
    for garment in garments:
        if garment.cut.layer == "upper":
            values[0] = {"none": 0, "sling": 0, "short": 1, "long": 3}[garment.sleeve]
            values[9] = {"v": 0, "square": 1, "crew": 2, "scoop": 2, "turtle": 3, "collar": 4}[garment.neckline]
            values[9] = 5 if garment.sleeve == "sling" else values[9]
            values[11] = 1
        elif garment.cut.layer == "lower":
            length = garment.hem if garment.cut.family == "legs" else (garment.hem - 500) // 2
            values[1] = 0 if length < 70 else 1 if length < 115 else 2 if length < 165 else 3
        elif garment.cut.layer == "outer":
            values[10] = 0 if garment.kind == "cardigan" else 1
    return " ".join(str(value) for value in values)


def codes_of(garments: list[Garment], omitted: Collection[str] = ()) -> Codes:
    """What the three label files say of a photo that shows these garments."""
    return (
        shape_line(garments),
        texture_line(garments, FABRIC_IDS, "fabric", omitted),
        texture_line(garments, PATTERN_IDS, "pattern", omitted),
    )


def write_labels(folder: Path, codes: dict[str, Codes]) -> None:
    """The three files; codes by image stem."""
    for column, path in enumerate(FILES):
        lines = (f"{stem}.jpg {codes[stem][column]}\n" for stem in sorted(codes))
        write_text(folder / path, "".join(lines))
