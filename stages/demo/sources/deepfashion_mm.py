"""Draw a demo in DeepFashion-MultiModal's format: people in outfits, worn from several views, and each item flat.

Writes: OUT/images/*.jpg, OUT/labels/shape/shape_anno_all.txt and OUT/labels/texture/{fabric,pattern}_ann.txt, defects
        of the original included; TRUTH/garments.parquet, the ground truth.
Params: demo.deepfashion_mm
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from stages.demo.drawing.garments import SHOES, Garment, make_garment
from stages.demo.drawing.palette import plain_background, scene_background
from stages.demo.drawing.people import Person, random_person
from stages.demo.drawing.photo import Photo, flat_photo, jpeg_bytes, worn_photo
from stages.demo.sources.deepfashion_mm_release import (
    SOURCE,
    TYPES,
    DeepFashionMMDemo,
    Shot,
    with_defects,
    write_labels,
)
from stages.demo.sources.shared import rng_for, write_bytes
from stages.demo.truth import Named, garment_rows, write_truth

POSITIONS = {"front": 1, "side": 2, "back": 3, "full": 4, "additional": 9}
FIRST_FLAT = 5  # each item's flat view has its own number, so that id_n1_n2 names one photo, as in upstream
CLOSE_UPS = ((140, 520), (400, 1000))  # body heights (units): chest and waist, or waist to feet


Item = tuple[str, Garment]


@dataclass(frozen=True)
class Wearer:
    """A person in one outfit.

    Attributes:
        person: upstream's gender and id, ``WOMEN-id_00000001``.
        outfit: number of the outfit, from 1.
        looks: how to draw the person.
        items: the outfit's items, by type.
        shoes: of the outfit; upstream has no files of shoes.
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
                index: Named(f"{gender}-{garment}-{identity}", stem if garment == name else None, garment)
                for index, (garment, _) in enumerate(items)
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


def choose_outfit(rng: Random, demo: DeepFashionMMDemo, gender: str, used: set[str]) -> list[Item]:
    """A dress, or upper and lower, some with an outer layer, which is worn open to show both."""
    if gender == "Women" and rng.randrange(100) < demo.dress_percent:
        dress = choose_item(rng, gender, "dress", used)
        if dress:
            return [dress]
    layers = ["upper", "lower"] + (["outer"] if rng.randrange(100) < demo.outer_percent else [])
    return [item for layer in layers if (item := choose_item(rng, gender, layer, used))]


def worn_shot(rng: Random, demo: DeepFashionMMDemo, wearer: Wearer, position: str, span: tuple[int, int]) -> Shot:
    """The outfit as worn, between two body heights (units)."""
    size = (demo.width, demo.height)
    background = plain_background(rng, size) if rng.random() < 0.6 else scene_background(rng, size)
    wardrobe = [*(garment for _, garment in wearer.items), wearer.shoes]
    view = position if position in ("side", "back") else "front"
    photo = worn_photo(rng, size, wearer.looks, wardrobe, view, span, background)
    return wearer.shot(POSITIONS[position], position, photo, wearer.items)


def outfit_shots(rng: Random, demo: DeepFashionMMDemo, wearer: Wearer) -> list[Shot]:
    """Two worn views and one flat view per item."""
    shots = []
    for position in ("front", rng.choice(("side", "back", "full"))):
        span = (-30, 1030) if position == "full" else rng.choice(((-20, 960), (-24, 1010), (10, 940)))
        shots.append(worn_shot(rng, demo, wearer, position, span))
    for number, item in enumerate(wearer.items, start=FIRST_FLAT):
        photo = flat_photo(rng, (demo.width, demo.height), item[1])
        shots.append(wearer.shot(number, "flat", photo, [item]))
    return shots


def jobs(demo: DeepFashionMMDemo) -> list[tuple[int, bool]]:
    """Number of every person, and whether there is a close-up of the first outfit."""
    rng = rng_for(demo.seed, SOURCE, "additional")
    close_ups = set(rng.sample(range(demo.people), min(demo.additional, demo.people)))
    return [(index, index in close_ups) for index in range(demo.people)]


def draw(demo: DeepFashionMMDemo, job: tuple[int, bool]) -> list[Shot]:
    """All photos of a person; a close-up is the last in the list."""
    index, close_up = job
    rng = rng_for(demo.seed, SOURCE, index)
    gender = rng.choice(("Men", "Women", "Women"))
    looks, used = random_person(rng, gender), set[str]()
    wearers, shots = [], []
    for outfit in range(1 + (rng.randrange(100) < demo.second_outfit_percent)):
        items = choose_outfit(rng, demo, gender, used)
        shoes = make_garment(rng, rng.choice(SHOES[gender]), gender)
        wearers.append(Wearer(f"{gender.upper()}-id_{index + 1:08d}", outfit + 1, looks, items, shoes))
        shots += outfit_shots(rng, demo, wearers[-1])
    if close_up:
        rng = rng_for(demo.seed, SOURCE, index, "additional")
        shots.append(worn_shot(rng, demo, wearers[0], "additional", rng.choice(CLOSE_UPS)))
    return shots


def write(demo: DeepFashionMMDemo, drawn: list[list[Shot]], out: Path, truth: Path) -> None:
    """Write images, label files and the ground truth."""
    release = with_defects(demo, [shot for shots in drawn for shot in shots])
    for stem, content in release.images.items():
        write_bytes(out / "images" / f"{stem}.jpg", content)
    write_labels(out / "labels", release.codes)
    write_truth(truth, release.rows)


PARAMS = DeepFashionMMDemo
