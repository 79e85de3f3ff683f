"""Draw a demo in DeepFashion2's format: 13 classes, shop and user photos of the same items.

Writes: OUT/{train,validation}/{image,annos}/000001.{jpg,json} and OUT/test/image, defects of the original included;
        TRUTH/garments.parquet, what the images really show.
Params: demo.deepfashion2
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Section
from stages.demo.drawing.backgrounds import plain_background, scene_background
from stages.demo.drawing.encoding import jpeg_bytes, rng_for, write_bytes, write_text
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.outfits import LOWERS, SHOES
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo
from stages.demo.sources.deepfashion2_annotation import CLASSES, Annotation, add_defects, item_json
from stages.demo.truth import Named, Row, garment_rows, write_truth
from stages.runner.progress import track

SOURCE = "deepfashion2"
ANNOTATED = ("train", "validation")
SPLITS = (*ANNOTATED, "test")  # names start again at 000001 in each; upstream keeps the test annotations to itself
# What an outfit is made of, and how often: tops lead as upstream, each merged group stays frequent.
OUTFITS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1, 8), 15), ((1, 7), 9), ((1, 9), 7), ((2, 8), 10), ((2, 9), 6), ((2, 7), 4),
    ((5, 7), 6), ((5, 8), 6), ((5, 9), 5), ((6, 7), 1), ((6, 9), 1),
    ((4, 1, 8), 12), ((4, 5, 8), 7), ((4, 2, 9), 7), ((3, 1, 8), 5), ((3, 5, 7), 3), ((4, 10), 4),
    ((10,), 9), ((11,), 6), ((12,), 9), ((13,), 5),
)  # fmt: skip
CROPS = ((-30, 1030), (-30, 1030), (-20, 780), (110, 1000), (-20, 620), (130, 720))


class DeepFashion2Demo(Section):
    """Section demo.deepfashion2 of params.yaml."""

    seed: int
    train: int = Field(ge=0)
    validation: int = Field(ge=0)
    test: int = Field(ge=0)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    images_per_pair: int = Field(ge=2)
    flat_percent: int = Field(ge=0, le=100)
    crossing_boxes: int = Field(ge=0)
    zero_landmarks: int = Field(ge=0)
    mixed_keys: int = Field(ge=0)


def pair_outfit(seed: int, split: str, pair: int) -> tuple[str, list[tuple[int, Garment]]]:
    """The gender and the garments (with class ids) that all photos of a pair_id show."""
    rng = rng_for(seed, SOURCE, split, "pair", pair)
    combos, weights = zip(*OUTFITS, strict=True)
    ids = rng.choices(combos, weights=weights)[0]
    womens = {6, 9, 10, 11, 12, 13}
    gender = "Women" if womens & set(ids) else rng.choice(("Men", "Women"))
    garments = []
    for class_id in ids:
        _, kinds, sleeve, _ = CLASSES[class_id]
        allowed = [kind for kind in kinds if gender == "Women" or kind not in ("top", "blouse", "leggings")] or list(
            kinds
        )
        garment = make_garment(rng, rng.choice(allowed), gender, sleeve=sleeve)
        layered = len(ids) > 1 and garment.cut.layer == "outer"  # worn open, to show what is under it
        garments.append((class_id, replace(garment, opened=True) if layered else garment))
    return gender, garments


def image_name(split: str, index: int) -> str:
    """The id that ingest gives image number index of a split."""
    return f"{split}-{index + 1:06d}"


def draw_photo(params: DeepFashion2Demo, split: str, index: int) -> tuple[Photo, Annotation, dict[int, Named]]:
    """Image number index of a split, its annotation, and the names of the pair's garments."""
    size = (params.width, params.height)
    pair, turn = divmod(index, params.images_per_pair)
    gender, garments = pair_outfit(params.seed, split, pair)
    rng = rng_for(params.seed, SOURCE, split, "image", index)
    shop = turn % 2 == 0
    about = {"scale": rng.randint(1, 3), "viewpoint": 2, "zoom_in": 1, "occlusion": 1}
    if shop and rng.randrange(100) < params.flat_percent:
        position = rng.randrange(len(garments))
        background = scene_background(rng, size) if rng.random() < 0.15 else None
        photo = flat_photo(rng, size, garments[position][1], background, rng.randint(52, 96))
        shown, about["viewpoint"] = [(0, position)], 1
        drawn = shown
    else:
        photo = _worn(rng, size, gender, [garment for _, garment in garments], shop, about)
        drawn = [(position, position) for position in range(len(garments))]
        shown = [places for places in drawn if photo.shows(places[0])]
    items = {
        f"item{number}": item_json(garments[position][0], 1 + position, photo, place, size, about)
        for number, (place, position) in enumerate(shown, start=1)
    }
    annotated = enumerate(shown if split in ANNOTATED else [], start=1)
    labelled = {place: f"{image_name(split, index)}:item{number}" for number, (place, _) in annotated}
    names = {
        place: Named(f"{split}-pair-{pair + 1}-style-{1 + position}", labelled.get(place)) for place, position in drawn
    }
    return photo, {"source": "shop" if shop else "user", "pair_id": pair + 1, **items}, names


def _worn(
    rng: Random, size: tuple[int, int], gender: str, garments: list[Garment], shop: bool, about: dict[str, int]
) -> Photo:
    view = rng.choice(("front", "front", "front", "side", "back"))
    about["viewpoint"] = {"front": 2, "side": 3, "back": 3}[view]
    crop = 0 if shop else rng.randrange(len(CROPS))
    about["zoom_in"] = 1 if crop < 2 else 2 if crop < 4 else 3
    extra = [make_garment(rng, rng.choice(SHOES[gender]), gender)]
    if not any(garment.cut.layer == "lower" or garment.kind in ("dress", "jumpsuit") for garment in garments):
        extra.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    background = plain_background(rng, size) if shop else scene_background(rng, size)
    shift = 0.0 if shop or rng.random() < 0.7 else rng.choice((-22, 22)) / 100
    return worn_photo(rng, size, random_person(rng, gender), [*garments, *extra], view, CROPS[crop], background, shift)


def draw(params: DeepFashion2Demo, job: tuple[str, int]) -> tuple[bytes, Annotation, list[Row]]:
    """What a process draws: JPEG bytes, annotation and ground truth of image (split, index)."""
    photo, annotation, names = draw_photo(params, *job)
    return jpeg_bytes(photo.image), annotation, garment_rows(image_name(*job), photo, names)


def write_source(demo: DeepFashion2Demo, out: Path, truth: Path) -> None:
    """Write the three splits and the ground truth."""
    fresh_folder(out)
    jobs = [(split, index) for split in SPLITS for index in range(getattr(demo, split))]
    annotations: dict[str, list[Annotation]] = {split: [] for split in SPLITS}
    rows: list[Row] = []
    drawn = track(in_processes(partial(draw, demo), jobs), total=len(jobs), desc=f"draw {SOURCE}")
    for (split, index), (content, annotation, garments) in zip(jobs, drawn, strict=True):
        write_bytes(out / split / "image" / f"{index + 1:06d}.jpg", content)
        annotations[split].append(annotation)
        rows += garments
    annotations["train"] = add_defects(
        rng_for(demo.seed, SOURCE, "defects"),
        annotations["train"],
        (demo.width, demo.height),
        demo.crossing_boxes,
        demo.zero_landmarks,
        demo.mixed_keys,
    )
    for split in ANNOTATED:
        for number, annotation in enumerate(annotations[split], start=1):
            write_text(out / split / "annos" / f"{number:06d}.json", json.dumps(annotation))
    write_truth(truth, rows)


PARAMS = DeepFashion2Demo
