"""Draw a demo in DeepFashion-MultiModal's format: people in outfits, worn from several views, and each item flat.

Writes: OUT/images/*.jpg, OUT/labels/shape/shape_anno_all.txt and OUT/labels/texture/{fabric,pattern}_ann.txt.
Params: demo.deepfashion_mm
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

from PIL import Image
from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.core.progress import track
from stages.core.stage import run_stage
from stages.demo.backgrounds import plain_background, scene_background
from stages.demo.figures import flat_photo, worn_photo
from stages.demo.garments import Garment, make_garment
from stages.demo.outfits import SHOES
from stages.demo.people import Person, random_person
from stages.demo.writing import jpeg_bytes, rng_for, write_bytes, write_text

SOURCE = "deepfashion_mm"
FABRIC_IDS = {"denim": 0, "cotton": 1, "leather": 2, "furry": 3, "knitted": 4, "chiffon": 5}
PATTERN_IDS = {"floral": 0, "graphic": 1, "striped": 2, "pure color": 3, "lattice": 4, "color block": 6}
MISSING = 7  # "NA" in both files
# type -> (layer in the label files, kinds, weight among the types of its layer for men and for women)
TYPES: dict[str, tuple[str, tuple[str, ...], int, int]] = {
    "Tees_Tanks": ("upper", ("tshirt", "tshirt", "tank"), 10, 9),
    "Graphic_Tees": ("upper", ("tshirt",), 4, 3),
    "Shirts_Polos": ("upper", ("shirt",), 9, 0),
    "Blouses_Shirts": ("upper", ("blouse", "shirt", "top"), 0, 10),
    "Sweaters": ("upper", ("sweater",), 6, 6),
    "Sweatshirts_Hoodies": ("upper", ("sweatshirt",), 7, 4),
    "Jackets_Coats": ("outer", ("jacket", "coat"), 6, 6),
    "Cardigans": ("outer", ("cardigan",), 2, 5),
    "Denim": ("lower", ("jeans",), 6, 5),
    "Pants": ("lower", ("trousers", "track_pants"), 9, 7),
    "Shorts": ("lower", ("shorts",), 7, 6),
    "Skirts": ("lower", ("skirt",), 0, 8),
    "Leggings": ("lower", ("leggings",), 0, 2),
    "Dresses": ("dress", ("dress",), 0, 9),
    "Rompers_Jumpsuits": ("dress", ("jumpsuit",), 0, 2),
}
POSITIONS = {"front": 1, "side": 2, "back": 3, "full": 4}
FIRST_FLAT = 5  # each item's flat view has a number of its own, so that id_n1_n2 names one photo, as upstream
SHAPE_NA = "5 4 3 2 4 2 2 2 4 6 2 2"


class DeepFashionMMDemo(Section):
    """Section demo.deepfashion_mm of params.yaml."""

    seed: int
    people: int = Field(ge=0)
    second_outfit_percent: int = Field(ge=0, le=100)
    dress_percent: int = Field(ge=0, le=100)
    outer_percent: int = Field(ge=0, le=100)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    unlabelled: int = Field(ge=0)


Item = tuple[str, Garment]


@dataclass(frozen=True)
class Shot:
    """One photo: the types whose names it appears under, what its labels say, and its pixels."""

    stem: str
    types: list[str]
    garments: list[Garment]
    image: Image.Image


def choose_item(rng: Random, gender: str, layer: str, used: set[str]) -> Item | None:
    """An item of a layer whose type the person does not wear in another outfit: same id and type is the same item."""
    column = 2 if gender == "Men" else 3
    open_types = {name: row for name, row in TYPES.items() if row[0] == layer and row[column] and name not in used}
    if not open_types:
        return None
    name = rng.choices(list(open_types), weights=[row[column] for row in open_types.values()])[0]
    used.add(name)
    kind = rng.choice([k for k in TYPES[name][1] if gender == "Women" or k != "tank" or layer == "upper"])
    pattern = "graphic" if name == "Graphic_Tees" else None
    garment = make_garment(rng, kind, gender, pattern=pattern)
    return name, replace(garment, opened=layer == "outer")


def choose_outfit(rng: Random, params: DeepFashionMMDemo, gender: str, used: set[str]) -> list[Item]:
    """A dress, or upper and lower, with an outer layer over some; an outer is then worn open, to show both."""
    if gender == "Women" and rng.randrange(100) < params.dress_percent:
        dress = choose_item(rng, gender, "dress", used)
        if dress:
            return [dress]
    layers = ["upper", "lower"] + (["outer"] if rng.randrange(100) < params.outer_percent else [])
    return [item for layer in layers if (item := choose_item(rng, gender, layer, used))]


def texture_line(garments: list[Garment], ids: dict[str, int], attribute: str) -> str:
    """`upper lower outer` for the garments that a photo shows."""
    values = {"upper": MISSING, "lower": MISSING, "outer": MISSING}
    for garment in garments:
        if garment.cut.layer in values:
            values[garment.cut.layer] = ids[getattr(garment, attribute)]
    return f"{values['upper']} {values['lower']} {values['outer']}"


def shape_line(garments: list[Garment]) -> str:
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


def outfit_shots(rng: Random, params: DeepFashionMMDemo, person: Person, stem: str, items: list[Item]) -> list[Shot]:
    """Two worn views and one flat view per item."""
    size, garments = (params.width, params.height), [garment for _, garment in items]
    wardrobe = [*garments, make_garment(rng, rng.choice(SHOES[person.gender]), person.gender)]
    shots = []
    for position in ("front", rng.choice(("side", "back", "full"))):
        span = (-30, 1030) if position == "full" else rng.choice(((-20, 960), (-24, 1010), (10, 940)))
        background = plain_background(rng, size) if rng.random() < 0.6 else scene_background(rng, size)
        view = "front" if position == "full" else position
        photo = worn_photo(rng, size, person, wardrobe, view, span, background)
        shown = [index for index in range(len(items)) if photo.shows(index)]
        shots.append(
            Shot(
                f"{stem}_{POSITIONS[position]}_{position}",
                [items[i][0] for i in shown],
                [garments[i] for i in shown],
                photo.image,
            )
        )
    for number, (name, garment) in enumerate(items):
        shots.append(
            Shot(f"{stem}_{FIRST_FLAT + number}_flat", [name], [garment], flat_photo(rng, size, garment).image)
        )
    return shots


def main(args: argparse.Namespace, params: SimpleNamespace) -> None:
    """Write images and label files."""
    demo: DeepFashionMMDemo = params.demo
    out: Path = fresh_folder(args.out)
    lines: list[tuple[str, str, str, str]] = []
    for index in track(range(demo.people), total=demo.people, desc=f"draw {SOURCE}"):
        rng = rng_for(demo.seed, SOURCE, index)
        gender = rng.choice(("Men", "Women", "Women"))
        person, used = random_person(rng, gender), set[str]()
        for outfit in range(1 + (rng.randrange(100) < demo.second_outfit_percent)):
            items = choose_outfit(rng, demo, gender, used)
            for shot in outfit_shots(rng, demo, person, f"id_{index + 1:08d}-{outfit + 1:02d}", items):
                content = jpeg_bytes(shot.image)
                fabric = texture_line(shot.garments, FABRIC_IDS, "fabric")
                pattern = texture_line(shot.garments, PATTERN_IDS, "pattern")
                for name in shot.types:
                    file = f"{gender.upper()}-{name}-{shot.stem}.jpg"
                    write_bytes(out / "images" / file, content)
                    lines.append((file, shape_line(shot.garments), fabric, pattern))
    lines.sort()
    chance = rng_for(demo.seed, SOURCE, "unlabelled")
    dropped = set(chance.sample(range(len(lines)), min(demo.unlabelled, len(lines))))
    kept = [line for index, line in enumerate(lines) if index not in dropped]
    files = ("shape/shape_anno_all.txt", "texture/fabric_ann.txt", "texture/pattern_ann.txt")
    for column, path in enumerate(files, start=1):
        write_text(out / "labels" / path, "".join(f"{line[0]} {line[column]}\n" for line in kept))


if __name__ == "__main__":
    run_stage(main, arguments=["out"], params={"demo": ("demo.deepfashion_mm", DeepFashionMMDemo)})
