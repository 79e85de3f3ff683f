"""The release of DeepFashion-MultiModal: files by type, label lines, and their defects.

Label noise is in the types only, which are in the file names. Fabric and pattern have other errors: labels of another
layer than the item's, and layers that annotators left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import Garment
from stages.demo.sources.shared import DefectPlan, rng_for, write_text
from stages.demo.truth import Row, type_of

SOURCE = "deepfashion_mm"
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
FABRIC_IDS = {"denim": 0, "cotton": 1, "leather": 2, "furry": 3, "knitted": 4, "chiffon": 5}
PATTERN_IDS = {"floral": 0, "graphic": 1, "striped": 2, "pure color": 3, "lattice": 4, "color block": 6}
MISSING = 7  # "NA" in both files
SHAPE_NA = "5 4 3 2 4 2 2 2 4 6 2 2"
FILES = ("shape/shape_anno_all.txt", "texture/fabric_ann.txt", "texture/pattern_ann.txt")
Codes = tuple[str, str, str]  # shape, fabric and pattern of one photo


class DeepFashionMMDemo(Section):
    """Section demo.deepfashion_mm of params.yaml.

    Attributes:
        people: ids; a person is one id.
        second_outfit_percent: of the people with an outfit 02.
        dress_percent: of the women's outfits that are a dress or a jumpsuit.
        outer_percent: of the other outfits with a jacket, coat or cardigan over the upper.
        width, height: pixels; upstream's 750 x 1101 are five times as large.
        additional: people with a close-up (position `additional`) of their first outfit.
        label_noise_percent: of the items have a wrong type in the names of all their files (`swap_types`), as in
            fashion_products.
        unlabeled: images that the label files leave out.
        lost_types: photos of an outer and an upper garment without the file of one type; half of them, if possible,
            with equal labels for both.
        omitted_layers: worn photos with NA for the fabric and pattern of a garment that they show.
        lines_without_image: label lines of missing files.
        malformed_names: files with an id of seven digits.
    """

    seed: int
    people: int = Field(ge=0)
    second_outfit_percent: int = Field(ge=0, le=100)
    dress_percent: int = Field(ge=0, le=100)
    outer_percent: int = Field(ge=0, le=100)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    additional: int = Field(ge=0)
    label_noise_percent: int = Field(3, ge=0, le=50)
    unlabeled: int = Field(12, ge=0)
    lost_types: int = Field(6, ge=0)
    omitted_layers: int = Field(6, ge=0)
    lines_without_image: int = Field(5, ge=0)
    malformed_names: int = Field(1, ge=0)


@dataclass(frozen=True)
class Shot:
    """One photo.

    Attributes:
        files: stem of each file under which it appears, one for each type it shows -> the file's truth rows.
        garments: those of the label lines.
        position: front, side, back, full, additional, flat.
        content: the file's bytes.
    """

    files: dict[str, list[Row]]
    garments: list[Garment]
    position: str
    content: bytes

    def of_layer(self, layer: str) -> Garment | None:
        """The labeled garment of a layer (upper, lower, outer)."""
        return next((garment for garment in self.garments if garment.traits.layer == layer), None)

    def stems_of(self, layer: str) -> set[str]:
        """The file whose type is that of the garment of a layer; nothing without one."""
        garment = self.of_layer(layer)
        return {
            stem
            for stem, rows in self.files.items()
            if garment and any(row["item"] == stem and row["kind"] == garment.kind for row in rows)
        }

    @property
    def layered(self) -> bool:
        """Whether an outer garment is over an upper one, both with a file of their own."""
        return self.position != "flat" and bool(self.of_layer("outer") and self.of_layer("upper"))

    @property
    def layers_agree(self) -> bool:
        """Whether outer and upper have the same fabric and the same pattern."""
        outer, upper = self.of_layer("outer"), self.of_layer("upper")
        return bool(outer and upper and (outer.fabric, outer.pattern) == (upper.fabric, upper.pattern))


@dataclass
class Release:
    """The published data by file stem, and the ground truth."""

    images: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def texture_line(garments: Iterable[Garment], ids: dict[str, int], attribute: str, omitted: Collection[str]) -> str:
    """`upper lower outer` for the garments that a photo shows; NA for the layers that the annotator omitted."""
    values = {"upper": MISSING, "lower": MISSING, "outer": MISSING}
    for garment in garments:
        if garment.traits.layer in values and garment.traits.layer not in omitted:
            values[garment.traits.layer] = ids[getattr(garment, attribute)]
    return f"{values['upper']} {values['lower']} {values['outer']}"


def shape_line(garments: Iterable[Garment]) -> str:
    """s0..s11 (docs/datasets.md) for the garments that a photo shows."""
    values = [int(value) for value in SHAPE_NA.split()]
    for garment in garments:
        if garment.traits.layer == "upper":
            values[0] = {"none": 0, "sling": 0, "short": 1, "long": 3}[garment.sleeve]
            values[9] = {"v": 0, "square": 1, "crew": 2, "scoop": 2, "turtle": 3, "collar": 4}[garment.neckline]
            values[9] = 5 if garment.sleeve == "sling" else values[9]
            values[11] = 1
        elif garment.traits.layer == "lower":
            length = garment.hem if garment.traits.family == "legs" else (garment.hem - 500) // 2
            values[1] = 0 if length < 70 else 1 if length < 115 else 2 if length < 165 else 3
        elif garment.traits.layer == "outer":
            values[10] = 0 if garment.kind == "cardigan" else 1
    return " ".join(str(value) for value in values)


def codes_of(garments: list[Garment], omitted: Collection[str] = ()) -> Codes:
    """The content of the three label files for a photo of these garments."""
    return (
        shape_line(garments),
        texture_line(garments, FABRIC_IDS, "fabric", omitted),
        texture_line(garments, PATTERN_IDS, "pattern", omitted),
    )


def swap_types(demo: DeepFashionMMDemo, shots: list[Shot]) -> list[Shot]:
    """The photos with the type of some items swapped for another of its layer.

    An item has the wrong type in the names of all its files, as upstream's names come from a shop's category of the
    item; so the files of an item still belong together. The wrong type exists for the wearer's gender, is another class
    after the merge, and is not worn by the person, because id and type together name one item.
    """
    worn: dict[str, set[str]] = {}  # person -> types
    for shot in shots:
        for stem in shot.files:
            person, name = _person_and_type(stem)
            worn.setdefault(person, set()).add(name)
    items = sorted((person, name) for person, names in worn.items() for name in names)
    rng = rng_for(demo.seed, SOURCE, "label noise")
    swapped: dict[tuple[str, str], str] = {}
    for person, name in rng.sample(items, len(items)):
        if len(swapped) == round(len(items) * demo.label_noise_percent / 100):
            break
        if look_alikes := _look_alikes(person, name, worn[person]):
            swapped[person, name] = rng.choice(look_alikes)
            worn[person].add(swapped[person, name])
    return [_renamed(shot, swapped) for shot in shots]


def _person_and_type(stem: str) -> tuple[str, str]:
    gender, name, rest = stem.split("-", 2)
    return f"{gender}-{rest.split('-')[0]}", name


def _look_alikes(person: str, name: str, worn: Collection[str]) -> list[str]:
    column = 2 if person.startswith("MEN") else 3
    return [
        candidate
        for candidate, row in TYPES.items()
        if row[0] == TYPES[name][0]
        and row[column]
        and candidate not in worn
        and type_of(row[1][0], candidate) != type_of(TYPES[name][1][0], name)
    ]


def _renamed(shot: Shot, swapped: dict[tuple[str, str], str]) -> Shot:
    """The photo with the names of its items."""
    files = {}
    for stem, rows in shot.files.items():
        person, name = _person_and_type(stem)
        if wrong := swapped.get((person, name)):
            new = stem.replace(f"-{name}-", f"-{wrong}-", 1)
            rows = [
                row | {"image_id": new} | ({"item": new, "type_swapped": True} if row["item"] == stem else {})
                for row in rows
            ]
            stem = new
        files[stem] = rows
    return replace(shot, files=files)


def with_defects(demo: DeepFashionMMDemo, shots: list[Shot]) -> Release:
    """The files, their label lines and the truth rows; no photo has two defects, label noise apart."""
    shots = swap_types(demo, shots)
    plan = DefectPlan(demo.seed, SOURCE, len(shots))
    # Photos without a type's file, shot -> stem that is lost: of the upper and of the outer garment in turn.
    layered = {index for index, shot in enumerate(shots) if shot.layered}
    equal = {index for index in layered if shots[index].layers_agree}
    chosen = plan.take((demo.lost_types + 1) // 2, equal)
    chosen += plan.take(demo.lost_types - len(chosen), layered - equal)
    lost = set()
    for number, index in enumerate(chosen):
        lost |= shots[index].stems_of("outer" if number % 2 else "upper")
    # Layers that the annotator left out.
    worn = {index for index, shot in enumerate(shots) if shot.position != "flat" and shot.garments}
    omitted = {
        index: plan.rng.choice(shots[index].garments).traits.layer for index in plan.take(demo.omitted_layers, worn)
    }
    malformed = plan.take(demo.malformed_names, worn)
    named = {index for index, shot in enumerate(shots) if shot.position != "additional" and shot.files}
    unlabeled = {plan.rng.choice(sorted(shots[index].files)) for index in plan.take(demo.unlabeled, named)}
    release = Release()
    for index, shot in enumerate(shots):
        codes = codes_of(shot.garments, [omitted[index]] if index in omitted else [])
        for stem in sorted(set(shot.files) - lost):
            release.images[stem] = shot.content
            release.rows += shot.files[stem]
            if stem not in unlabeled:
                release.codes[stem] = codes
    for index in malformed:
        _repeat_under_bad_name(release, min(shots[index].files))
    _add_lines(plan.rng, release, demo.lines_without_image)
    return release


def _repeat_under_bad_name(release: Release, stem: str) -> None:
    """A copy of the photo with an id without its first digit."""
    bad = stem.replace("-id_0", "-id_")
    release.images[bad] = release.images[stem]
    release.codes[bad] = release.codes[stem]
    release.rows += [
        row | {"image_id": bad, "item": bad if row["item"] == stem else None}
        for row in release.rows
        if row["image_id"] == stem
    ]


def _add_lines(rng: Random, release: Release, count: int) -> None:
    """Lines of people without images, whose ids are far above all others."""
    labeled = sorted(release.codes)
    for number in range(count if labeled else 0):
        release.codes[f"WOMEN-Dresses-id_{90000001 + number}-01_1_front"] = release.codes[rng.choice(labeled)]


def write_labels(folder: Path, codes: dict[str, Codes]) -> None:
    """The three files; codes by image stem."""
    for column, path in enumerate(FILES):
        lines = (f"{stem}.jpg {codes[stem][column]}\n" for stem in sorted(codes))
        write_text(folder / path, "".join(lines))
