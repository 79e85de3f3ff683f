"""Draw a demo in the format of DeepFashion's Category and Attribute Prediction, the coarse layout.

Writes: OUT/Img/img/<garment>/img_00000001.jpg, OUT/Eval/list_eval_partition.txt, and below OUT/Anno_coarse
        list_{category_cloth,category_img,attr_cloth,attr_img,bbox}.txt; TRUTH/garments.parquet, the ground truth.
Params: demo.category_coarse

It has two of upstream's defects: the same picture under two names, in test and in train, and folder names with other
capitals in the lists than on disk.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from stages.demo.drawing.garments import Garment
from stages.demo.sources.deepfashion_photos import (
    CATEGORIES,
    CategoryDemo,
    CategoryShot,
    Job,
    draw_shot,
    list_jobs,
    list_text,
    write_images,
)
from stages.demo.sources.shared import DefectPlan, write_text
from stages.demo.truth import write_truth

SOURCE = "category_coarse"
UPPER = (
    "Anorak", "Blazer", "Blouse", "Bomber", "Button-Down", "Cardigan", "Flannel", "Halter", "Henley", "Hoodie",
    "Jacket", "Jersey", "Parka", "Peacoat", "Poncho", "Sweater", "Tank", "Tee", "Top", "Turtleneck",
)  # fmt: skip
LOWER = (
    "Capris", "Chinos", "Culottes", "Cutoffs", "Gauchos", "Jeans", "Jeggings", "Jodhpurs", "Joggers", "Leggings",
    "Sarong", "Shorts", "Skirt", "Sweatpants", "Sweatshorts", "Trunks",
)  # fmt: skip
FULL = (
    "Caftan", "Cape", "Coat", "Coverup", "Dress", "Jumpsuit", "Kaftan", "Kimono", "Nightdress", "Onesie", "Robe",
    "Romper", "Shirtdress", "Sundress",
)  # fmt: skip
# (name, upstream's type: 1 texture, 2 fabric, 3 shape, 4 part); names hold spaces. Upstream has 1000.
ATTRIBUTES = (
    ("color block", 1), ("floral", 1), ("graphic", 1), ("plaid", 1), ("striped", 1),
    ("chiffon", 2), ("cotton", 2), ("denim", 2), ("faux fur", 2), ("faux leather", 2), ("knit", 2),
    ("a-line", 3), ("long sleeve", 4), ("short sleeve", 4), ("sleeveless", 4), ("turtle neck", 4), ("v-neck", 4),
)  # fmt: skip
_FABRICS = {"furry": "faux fur", "leather": "faux leather", "knitted": "knit"}
_PATTERNS = {"lattice": "plaid"}
_SLEEVES = {"long": "long sleeve", "short": "short sleeve", "none": "sleeveless", "sling": "sleeveless"}
_NECKS = {"v": "v-neck", "turtle": "turtle neck"}


class CategoryCoarseDemo(CategoryDemo):
    """Section demo.category_coarse of params.yaml.

    Attributes:
        duplicates: training images with the bytes of a test image (upstream: about 5 %), which ingest keeps.
        recased_paths: images that the lists spell in small letters.
    """

    duplicates: int = Field(3, ge=0)
    recased_paths: int = Field(6, ge=0)


def attribute_values(garment: Garment) -> list[int]:
    """1 or -1 for each attribute; an attribute that the garment cannot have (a skirt's sleeves) is 0, unknown."""
    words = {_PATTERNS.get(garment.pattern, garment.pattern), _FABRICS.get(garment.fabric, garment.fabric)}
    words |= {_SLEEVES[garment.sleeve], _NECKS.get(garment.neckline, "")} if garment.traits.family == "torso" else set()
    words |= {"a-line"} if garment.flare > 40 else set()
    offset = 4 if garment.traits.family != "torso" else 0
    return [0 if kind == offset else 1 if name in words else -1 for name, kind in ATTRIBUTES]


def write_lists(out: Path, shots: list[CategoryShot], recased: set[int]) -> None:
    """The six list files; the paths of ``recased`` images are in small letters."""
    names = [f"img/{shot.path.lower() if index in recased else shot.path}.jpg" for index, shot in enumerate(shots)]
    listed = list(zip(names, shots, strict=True))
    status = [(name, shot.status) for name, shot in listed]
    category = [(name, str(CATEGORIES[shot.category][0])) for name, shot in listed]
    boxes = [(name, *map(str, shot.shown_box)) for name, shot in listed]
    values = [(name, *map(str, attribute_values(shot.garment))) for name, shot in listed]
    cloth = [
        (name, str(layer)) for layer, categories in enumerate((UPPER, LOWER, FULL), start=1) for name in categories
    ]
    anno = out / "Anno_coarse"
    write_text(out / "Eval/list_eval_partition.txt", list_text(("image_name", "evaluation_status"), status))
    write_text(anno / "list_category_cloth.txt", list_text(("category_name", "category_type"), cloth))
    write_text(anno / "list_category_img.txt", list_text(("image_name", "category_label"), category))
    attributes = [(name, str(kind)) for name, kind in ATTRIBUTES]
    write_text(anno / "list_attr_cloth.txt", list_text(("attribute_name", "attribute_type"), attributes))
    write_text(anno / "list_attr_img.txt", list_text(("image_name", "attribute_labels"), values))
    write_text(anno / "list_bbox.txt", list_text(("image_name", "x_1", "y_1", "x_2", "y_2"), boxes))


def jobs(demo: CategoryCoarseDemo) -> list[Job]:
    """Every image but the copies."""
    return list_jobs(demo, SOURCE)


def draw(demo: CategoryCoarseDemo, job: Job) -> CategoryShot:
    """The image of a job."""
    return draw_shot(demo, SOURCE, job)


def renamed(shot: CategoryShot, path: str, status: str) -> CategoryShot:
    """The same picture under another name, in another split."""
    rows = [row | {"image_id": path, "item": path if row["item"] else None} for row in shot.rows]
    return replace(shot, path=path, status=status, rows=rows)


def write(demo: CategoryCoarseDemo, drawn: list[CategoryShot], out: Path, truth: Path) -> None:
    """Write images, lists and the ground truth."""
    plan = DefectPlan(demo.seed, SOURCE, len(drawn))
    held_out = {index for index, shot in enumerate(drawn) if shot.status == "test"}
    again = [drawn[index] for index in plan.take(demo.duplicates, held_out)]
    shots = [*drawn, *(renamed(shot, f"{shot.path}_again", "train") for shot in again)]
    rows = write_images(out / "Img/img", shots)
    write_lists(out, shots, set(plan.take(demo.recased_paths)))
    write_truth(truth, rows)


PARAMS = CategoryCoarseDemo
