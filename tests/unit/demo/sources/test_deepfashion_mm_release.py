"""The drawn DeepFashion-MultiModal: upstream's names and label files, their defects, and which types are wrong."""

import re
from pathlib import Path

from stages.demo.sources.deepfashion_mm_release import TYPES as MM_TYPES
from stages.demo.truth import type_of


def label_lines(drawn: Path, file: str) -> dict[str, list[str]]:
    lines = (drawn / "deepfashion_mm" / "labels" / file).read_text().splitlines()
    return {line.split()[0].removesuffix(".jpg"): line.split()[1:] for line in lines}


def test_deepfashion_mm_files_have_their_defects(drawn: Path) -> None:
    stems = {path.stem for path in (drawn / "deepfashion_mm" / "images").iterdir()}
    for file in ("shape/shape_anno_all.txt", "texture/fabric_ann.txt", "texture/pattern_ann.txt"):
        labeled = set(label_lines(drawn, file))
        assert (len(stems - labeled), len(labeled - stems)) == (2, 2)
    assert sum(len(stem.split("-id_")[1].split("-")[0]) != 8 for stem in stems) == 1
    assert len({stem.split("-id_")[1] for stem in stems if stem.endswith("_additional")}) == 4


LAYERS = {"top": "upper", "vest": "upper", "dress": "upper", "bottom": "lower", "outwear": "outer"}


def layers_by_photo(drawn: Path, truth) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Photo of a well-formed, labeled worn file -> layers that have a file, and layers that its label line names."""
    fabrics = label_lines(drawn, "texture/fabric_ann.txt")
    files: dict[str, set[str]] = {}
    lines: dict[str, set[str]] = {}
    for row in truth("deepfashion_mm"):
        stem = row["image_id"]
        photo = stem.split("-id_")[1]
        if row["item"] and row["worn"] and stem in fabrics and len(photo.split("-")[0]) == 8:
            files.setdefault(photo, set()).add(LAYERS[row["superclass"]])
            names = zip(("upper", "lower", "outer"), fabrics[stem], strict=True)
            lines[photo] = {name for name, code in names if code != "7"}
    return files, lines


def test_deepfashion_mm_leaves_out_labels_of_garments_that_are_shown(drawn: Path, truth) -> None:
    files, lines = layers_by_photo(drawn, truth)
    assert sum(bool(files[photo] - lines[photo]) for photo in files) == 3


def test_deepfashion_mm_loses_one_file_of_photos_with_two_layers(drawn: Path, truth) -> None:
    files, lines = layers_by_photo(drawn, truth)
    layered = [photo for photo in files if {"upper", "outer"} <= lines[photo]]
    assert sum(len(files[photo] & {"upper", "outer"}) == 1 for photo in layered) == 2
    assert sum(len(files[photo] & {"upper", "outer"}) == 2 for photo in layered) > 2


def test_deepfashion_mm_names_and_label_files(drawn: Path) -> None:
    root = drawn / "deepfashion_mm"
    images = sorted(path.name for path in (root / "images").iterdir())
    pattern = re.compile(
        r"(MEN|WOMEN)-([A-Za-z_]+)-(id_\d{8})-(\d{2})_(\d)_(front|side|back|full|additional|flat)\.jpg"
    )
    parsed = {name: match for name in images if (match := pattern.fullmatch(name))}
    for file, values in (
        ("shape/shape_anno_all.txt", 12),
        ("texture/fabric_ann.txt", 3),
        ("texture/pattern_ann.txt", 3),
    ):
        lines = [line.split(" ") for line in (root / "labels" / file).read_text().splitlines()]
        assert all(len(line) == 1 + values for line in lines)
    photos: dict[str, set[bytes]] = {}
    for name, match in parsed.items():
        photos.setdefault(f"{match[3]}-{match[4]}_{match[5]}", set()).add((root / "images" / name).read_bytes())
    assert all(len(contents) == 1 for contents in photos.values())  # one photo under several names
    flat = {(m[3], m[4], m[2]) for m in parsed.values() if m[6] == "flat"}
    worn = {(m[3], m[4], m[2]) for m in parsed.values() if m[6] == "front"}
    assert worn <= flat


def test_deepfashion_mm_gives_a_type_to_one_outfit_of_a_person_only(drawn: Path) -> None:
    """Same person and type is the same item for retrieval, so two outfits must not share a type."""
    outfits: dict[tuple[str, str], set[str]] = {}
    for path in (drawn / "deepfashion_mm" / "images").iterdir():
        _, name, rest = path.stem.split("-", 2)
        person, turn = rest.split("-")
        outfits.setdefault((person, name), set()).add(turn.split("_")[0])
    assert all(len(found) == 1 for found in outfits.values())


LAYER_OF = {name: row[0] for name, row in MM_TYPES.items()}


def test_deepfashion_mm_types_are_swapped_for_all_files_of_an_item(drawn: Path, truth) -> None:
    named, swapped = {}, {}
    for row in truth("deepfashion_mm"):
        if row["item"]:
            name = row["item"].split("-")[1]
            assert named.setdefault(row["instance"], name) == name
            assert swapped.setdefault(row["instance"], row["type_swapped"]) == row["type_swapped"]
            assert row["type_swapped"] == (name != row["instance"].split("-")[1])
            if row["type_swapped"]:
                assert type_of(row["kind"], name) != row["type"]
                assert LAYER_OF[name] == LAYER_OF[row["instance"].split("-")[1]]
        else:
            assert not row["type_swapped"]
        assert not row["color_swapped"]
    assert sum(swapped.values()) == round(0.08 * len(swapped)) > 1


def test_deepfashion_mm_texture_codes_are_the_truth(drawn: Path, truth) -> None:
    codes = {
        "fabric": ["denim", "cotton", "leather", "furry", "knitted", "chiffon"],
        "pattern": ["floral", "graphic", "striped", "pure color", "lattice", "other", "color block"],
    }
    layer = {"outwear": 2, "bottom": 1}
    for head, names in codes.items():
        text = (drawn / "deepfashion_mm" / "labels" / "texture" / f"{head}_ann.txt").read_text()
        lines = {line.split()[0].removesuffix(".jpg"): line.split()[1:] for line in text.splitlines()}
        for row in truth("deepfashion_mm"):
            if row["item"] in lines:
                code = int(lines[row["item"]][layer.get(row["superclass"], 0)])
                assert code == 7 or names[code] == row[head]


def test_deepfashion_mm_names_are_the_truth(truth) -> None:
    genders = {"MEN": "Men", "WOMEN": "Women"}
    for row in truth("deepfashion_mm"):
        if row["item"]:
            gender, _, rest = row["item"].split("-", 2)
            assert (genders[gender], rest.rsplit("_", 1)[1]) == (row["gender"], row["view"])
