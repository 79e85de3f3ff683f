"""Draw a demo in DeepFashion-MultiModal's format: people in outfits, worn from several views, and each item flat.

Writes: OUT/images/*.jpg, OUT/labels/shape/shape_anno_all.txt and OUT/labels/texture/{fabric,pattern}_ann.txt, defects
        of the original included; TRUTH/garments.parquet, what the images really show.
Params: demo.deepfashion_mm
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Section
from stages.demo.drawing.backgrounds import plain_background, scene_background
from stages.demo.drawing.encoding import jpeg_bytes, picked, rng_for, write_bytes
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.outfits import SHOES
from stages.demo.drawing.people import Person, random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo
from stages.demo.sources.deepfashion_mm_defects import SOURCE, Shot, Wanted, with_defects
from stages.demo.sources.deepfashion_mm_labels import write_labels
from stages.demo.truth import Named, garment_rows, write_truth
from stages.runner.progress import track

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
POSITIONS = {"front": 1, "side": 2, "back": 3, "full": 4, "additional": 9}
FIRST_FLAT = 5  # each item's flat view has a number of its own, so that id_n1_n2 names one photo, as upstream
CLOSE_UPS = ((140, 520), (400, 1000))  # body heights (units): chest and waist, or waist to feet


class DeepFashionMMDemo(Section):
    """Section demo.deepfashion_mm of params.yaml."""

    seed: int
    people: int = Field(ge=0)
    second_outfit_percent: int = Field(ge=0, le=100)
    dress_percent: int = Field(ge=0, le=100)
    outer_percent: int = Field(ge=0, le=100)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    additional: int = Field(ge=0)
    unlabelled: int = Field(ge=0)
    lost_types: int = Field(ge=0)
    omitted_layers: int = Field(ge=0)
    lines_without_image: int = Field(ge=0)
    malformed_names: int = Field(ge=0)


Item = tuple[str, Garment]


@dataclass(frozen=True)
class Wearer:
    """A person in one outfit.

    Attributes:
        person: upstream's gender and id, ``WOMEN-id_00000001``.
        outfit: number of the outfit, from 1.
        looks: how to draw the person.
        items: the outfit's items, by type.
        shoes: worn with it; upstream has no files of shoes.
    """

    person: str
    outfit: int
    looks: Person
    items: list[Item]
    shoes: Garment

    def shot(self, number: int, position: str, photo: Photo, items: list[Item]) -> Shot:
        """A photo of the wearer or of one item: one file for each type of `items` that it shows."""
        gender, identity = self.person.split("-")
        types = {index: name for index, (name, _) in enumerate(items) if photo.shows(index)}
        files = {}
        for name in types.values():
            stem = f"{gender}-{name}-{identity}-{self.outfit:02d}_{number}_{position}"
            named = {
                index: Named(f"{gender}-{other}-{identity}", stem if other == name else None, other)
                for index, (other, _) in enumerate(items)
            }
            named[len(items)] = Named(f"{self.person}-{self.outfit:02d}/shoes")
            files[stem] = garment_rows(stem, photo, named, person=self.person, view=position)
        return Shot(files, [photo.garments[index] for index in types], position, jpeg_bytes(photo.image))


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


def worn_shot(rng: Random, params: DeepFashionMMDemo, wearer: Wearer, position: str, span: tuple[int, int]) -> Shot:
    """The outfit as worn, between two body heights (units)."""
    size = (params.width, params.height)
    background = plain_background(rng, size) if rng.random() < 0.6 else scene_background(rng, size)
    wardrobe = [*(garment for _, garment in wearer.items), wearer.shoes]
    view = position if position in ("side", "back") else "front"
    photo = worn_photo(rng, size, wearer.looks, wardrobe, view, span, background)
    return wearer.shot(POSITIONS[position], position, photo, wearer.items)


def outfit_shots(rng: Random, params: DeepFashionMMDemo, wearer: Wearer) -> list[Shot]:
    """Two worn views and one flat view per item."""
    shots = []
    for position in ("front", rng.choice(("side", "back", "full"))):
        span = (-30, 1030) if position == "full" else rng.choice(((-20, 960), (-24, 1010), (10, 940)))
        shots.append(worn_shot(rng, params, wearer, position, span))
    for number, item in enumerate(wearer.items, start=FIRST_FLAT):
        photo = flat_photo(rng, (params.width, params.height), item[1])
        shots.append(wearer.shot(number, "flat", photo, [item]))
    return shots


def draw_person(params: DeepFashionMMDemo, index: int, close_ups: set[int]) -> list[Shot]:
    """All photos of person number index; who is among `close_ups` has one of the first outfit, the last in the list."""
    rng = rng_for(params.seed, SOURCE, index)
    gender = rng.choice(("Men", "Women", "Women"))
    looks, used = random_person(rng, gender), set[str]()
    wearers, shots = [], []
    for outfit in range(1 + (rng.randrange(100) < params.second_outfit_percent)):
        items = choose_outfit(rng, params, gender, used)
        shoes = make_garment(rng, rng.choice(SHOES[gender]), gender)
        wearers.append(Wearer(f"{gender.upper()}-id_{index + 1:08d}", outfit + 1, looks, items, shoes))
        shots += outfit_shots(rng, params, wearers[-1])
    if index in close_ups:
        rng = rng_for(params.seed, SOURCE, index, "additional")
        shots.append(worn_shot(rng, params, wearers[0], "additional", rng.choice(CLOSE_UPS)))
    return shots


def write_source(demo: DeepFashionMMDemo, out: Path, truth: Path) -> None:
    """Write images, label files and the ground truth."""
    fresh_folder(out)
    close_ups = set(picked(rng_for(demo.seed, SOURCE, "additional"), demo.people, demo.additional))
    people = in_processes(partial(draw_person, demo, close_ups=close_ups), range(demo.people))
    shots = [shot for person in track(people, total=demo.people, desc=f"draw {SOURCE}") for shot in person]
    wanted = Wanted(
        unlabelled=demo.unlabelled,
        lost_types=demo.lost_types,
        omitted_layers=demo.omitted_layers,
        lines_without_image=demo.lines_without_image,
        malformed_names=demo.malformed_names,
    )
    release = with_defects(demo.seed, shots, wanted)
    for stem, content in release.images.items():
        write_bytes(out / "images" / f"{stem}.jpg", content)
    write_labels(out / "labels", release.codes)
    write_truth(truth, release.rows)


PARAMS = DeepFashionMMDemo
