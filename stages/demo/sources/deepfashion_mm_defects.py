"""From photos to what DeepFashion-MultiModal publishes: files by type, label lines, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stages.demo.drawing.encoding import rng_for
from stages.demo.drawing.garments import Garment
from stages.demo.sources.deepfashion_mm_labels import Codes, codes_of
from stages.demo.truth import Row

SOURCE = "deepfashion_mm"


@dataclass(frozen=True)
class Shot:
    """One photo.

    Attributes:
        files: stem of each file under which it appears, one for each type it shows -> the file's truth rows.
        garments: what the label lines speak of.
        position: front, side, back, full, additional, flat.
        content: the file's bytes.
    """

    files: dict[str, list[Row]]
    garments: list[Garment]
    position: str
    content: bytes

    def of_layer(self, layer: str) -> Garment | None:
        """The labelled garment of a layer (upper, lower, outer)."""
        return next((garment for garment in self.garments if garment.cut.layer == layer), None)

    @property
    def layered(self) -> bool:
        """Whether an outer garment is over an upper one, both with a file of their own."""
        return self.position != "flat" and bool(self.of_layer("outer") and self.of_layer("upper"))

    @property
    def layers_agree(self) -> bool:
        """Whether outer and upper have the same fabric and the same pattern."""
        outer, upper = self.of_layer("outer"), self.of_layer("upper")
        return bool(outer and upper and (outer.fabric, outer.pattern) == (upper.fabric, upper.pattern))


@dataclass(frozen=True)
class Wanted:
    """How many of each defect.

    Attributes:
        unlabelled: image files that the label files leave out.
        lost_types: photos with an outer and an upper garment of which one file is not there; half of them have equal
            labels for both, as far as there are such photos.
        omitted_layers: photos with NA for a garment that they show.
        lines_without_image: label lines of files that are not there.
        malformed_names: files with an id of seven digits.
    """

    unlabelled: int
    lost_types: int
    omitted_layers: int
    lines_without_image: int
    malformed_names: int


@dataclass
class Release:
    """What is published, by file stem, and the truth about it."""

    images: dict[str, bytes]
    codes: dict[str, Codes]
    rows: list[Row]


def with_defects(seed: int, shots: list[Shot], wanted: Wanted) -> Release:
    """The files, their label lines and the truth rows; no photo has two defects."""
    stems = sorted(stem for shot in shots if shot.position != "additional" for stem in shot.files)
    chance = rng_for(seed, SOURCE, "unlabelled")
    unlabelled = {stems[index] for index in chance.sample(range(len(stems)), min(wanted.unlabelled, len(stems)))}
    chance = rng_for(seed, SOURCE, "defects")
    sound = [shot for shot in shots if not unlabelled & set(shot.files)]
    lost = _lost_files(chance, sound, wanted.lost_types)
    free = [shot for shot in sound if shot.position != "flat" and shot.garments and not lost & set(shot.files)]
    chance.shuffle(free)
    # layer that the annotator left out, by the photo's first file
    omitted = {min(shot.files): chance.choice(shot.garments).cut.layer for shot in free[: wanted.omitted_layers]}
    release = Release({}, {}, [])
    for shot in shots:
        layer = omitted.get(min(shot.files, default=""))
        codes = codes_of(shot.garments, [layer] if layer else [])
        for stem in sorted(set(shot.files) - lost):
            release.images[stem] = shot.content
            release.rows += shot.files[stem]
            if stem not in unlabelled:
                release.codes[stem] = codes
    for shot in free[wanted.omitted_layers : wanted.omitted_layers + wanted.malformed_names]:
        _repeat_under_bad_name(release, min(shot.files))
    _add_lines(chance, release, wanted.lines_without_image)
    return release


def _lost_files(chance: Random, shots: list[Shot], count: int) -> set[str]:
    """One file of each of `count` layered photos: of the outer and of the upper garment in turn."""
    layered = [shot for shot in shots if shot.layered]
    chance.shuffle(layered)
    equal = [shot for shot in layered if shot.layers_agree][: (count + 1) // 2]
    differing = [shot for shot in layered if not shot.layers_agree][: count - len(equal)]
    lost = set()
    for number, shot in enumerate([*equal, *differing]):
        kind = shot.of_layer("outer" if number % 2 else "upper")
        lost |= {
            stem
            for stem, rows in shot.files.items()
            if any(row["item"] == stem and row["kind"] == kind.kind for row in rows)
        }
    return lost


def _repeat_under_bad_name(release: Release, stem: str) -> None:
    """The photo once more, with an id that lost its first digit."""
    bad = stem.replace("-id_0", "-id_")
    release.images[bad] = release.images[stem]
    release.codes[bad] = release.codes[stem]
    release.rows += [
        row | {"image_id": bad, "item": bad if row["item"] == stem else None}
        for row in release.rows
        if row["image_id"] == stem
    ]


def _add_lines(chance: Random, release: Release, count: int) -> None:
    """Lines of people who have no images: ids far above all others."""
    labelled = sorted(release.codes)
    for number in range(count if labelled else 0):
        release.codes[f"WOMEN-Dresses-id_{90000001 + number}-01_1_front"] = release.codes[chance.choice(labelled)]
