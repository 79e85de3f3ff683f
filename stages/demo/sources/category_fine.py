"""Draw a demo in the format of DeepFashion's Category and Attribute Prediction, the fine layout.

Writes: OUT/Img/img/<garment>/img_00000001.jpg and OUT/Anno_fine/{train,val,test}{,_cate,_attr,_bbox,_landmarks}.txt,
        without headers, aligned by line; TRUTH/garments.parquet, the ground truth.
Params: demo.category_fine
"""

from __future__ import annotations

from pathlib import Path

from stages.demo.drawing.garments import Garment
from stages.demo.sources.deepfashion2 import resampled
from stages.demo.sources.deepfashion_photos import (
    CATEGORIES,
    SPLITS,
    CategoryDemo,
    CategoryShot,
    Job,
    draw_shot,
    list_jobs,
    write_images,
)
from stages.demo.sources.shared import write_text
from stages.demo.truth import write_truth

SOURCE = "category_fine"
ATTRIBUTES = (
    "floral", "graphic", "striped", "embroidered", "pleated", "solid", "lattice", "long_sleeve", "short_sleeve",
    "sleeveless", "maxi_length", "mini_length", "no_dress", "crew_neckline", "v_neckline", "square_neckline",
    "no_neckline", "denim", "chiffon", "cotton", "leather", "faux", "knit", "tight", "loose", "conventional",
)  # fmt: skip
LANDMARKS = 8
# Our attribute -> upstream's word; every garment has one word of each group.
_PATTERNS = {"pure color": "solid", "color block": "solid"}
_SLEEVES = {"long": "long_sleeve", "short": "short_sleeve"}
_NECKS = {"crew": "crew_neckline", "v": "v_neckline", "square": "square_neckline"}
_FABRICS = {"furry": "faux", "knitted": "knit"}


class CategoryFineDemo(CategoryDemo):
    """Section demo.category_fine of params.yaml."""


def attributes_of(garment: Garment) -> set[str]:
    """One word of each of upstream's six groups."""
    torso = garment.traits.family == "torso"
    length = "no_dress" if garment.kind != "dress" else "maxi_length" if garment.hem > 755 else "mini_length"
    return {
        _PATTERNS.get(garment.pattern, garment.pattern),
        _SLEEVES.get(garment.sleeve, "sleeveless") if torso else "sleeveless",
        length,
        _NECKS.get(garment.neckline, "no_neckline") if torso else "no_neckline",
        _FABRICS.get(garment.fabric, garment.fabric),
        "tight" if garment.ease < 6 else "loose" if garment.ease > 18 else "conventional",
    }


def write_split(folder: Path, split: str, shots: list[CategoryShot]) -> None:
    """The five files of a split: image names, categories, attributes, boxes and landmarks."""
    columns: dict[str, list[str]] = {"": [], "_cate": [], "_attr": [], "_bbox": [], "_landmarks": []}
    for shot in shots:
        words = attributes_of(shot.garment)
        points = resampled(shot.outline, LANDMARKS, shot.size)
        columns[""].append(f"img/{shot.path}.jpg")
        columns["_cate"].append(str(CATEGORIES[shot.category][0]))
        columns["_attr"].append(" ".join(str(int(name in words)) for name in ATTRIBUTES))
        columns["_bbox"].append(" ".join(map(str, shot.shown_box)))
        columns["_landmarks"].append(" ".join(str(value) for place, value in enumerate(points) if place % 3 < 2))
    for name, lines in columns.items():
        write_text(folder / f"{split}{name}.txt", "".join(f"{line}\n" for line in lines))


def jobs(demo: CategoryFineDemo) -> list[Job]:
    """Every image."""
    return list_jobs(demo, SOURCE)


def draw(demo: CategoryFineDemo, job: Job) -> CategoryShot:
    """The image of a job."""
    return draw_shot(demo, SOURCE, job)


def write(demo: CategoryFineDemo, drawn: list[CategoryShot], out: Path, truth: Path) -> None:
    """Write images, the files of each split and the ground truth."""
    rows = write_images(out / "Img/img", drawn)
    for split in SPLITS:
        write_split(out / "Anno_fine", split, [shot for shot in drawn if shot.status == split])
    write_truth(truth, rows)


PARAMS = CategoryFineDemo
