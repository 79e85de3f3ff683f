"""Which of the readers reads a folder: told by its files and tables, without decoding a picture."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from stages.adding.found import Chosen, Found, images_of
from stages.adding.superclasses import guess
from stages.adding.tables import Told, from_choice, from_table, told_by
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml
from stages.core.table_rows import KINDS, SUFFIXES, UNREAD
from stages.ingest.files import Tree, companion, walk
from stages.ingest.lookup import Images
from stages.ingest.readers import coco, deepfashion2, fashion_products, folders, voc, yolo

LEVELS = 2  # folders below FOLDER in which a table is looked for
MOST_JSONS = 20  # beside photos that may be tables
MOST_LABELS = 200  # label files that are looked into
BOXES_OF = ("yolo", "voc", "coco", "deepfashion2", "shoes")  # readers whose labels are the classes of boxes
# Readers of benchmarks' trees: they have a split and a protocol of their own, and no labels for a data set.
BENCHMARKS = {
    "inshop": "DeepFashion In-shop",
    "consumer_to_shop": "DeepFashion Consumer-to-shop",
    "category_coarse": "DeepFashion Category and Attribute Prediction",
    "category_fine": "the fine labels of DeepFashion's Category and Attribute Prediction",
    "fashion144k": "Fashion144k",
}
FORMS = """\
  a table ({kinds})
    with a column that names images and one with labels
  a folder for each class with its images
  boxes as YOLO (data.yaml or classes.txt, images/, labels/), Pascal VOC (an .xml an image) or COCO (one JSON)"""


def recognise(
    folder: Path, table: Path | None, synonyms: dict[tuple[str, ...], str], chosen: Chosen | None = None
) -> Found:
    """The reader of a folder and its options.

    Args:
        chosen: what a person edited in the profile, which is used instead of guesses.

    Raises:
        StageError: the folder holds no images, or nothing that says what they show, or two tables that do; or what was
            chosen does not fit it.
    """
    images = images_of(folder)
    if not images:
        raise StageError(
            f"{folder}: no image files ({', '.join(sorted(IMAGE_SUFFIXES))}) in it or below it; found "
            f"{_census(folder)}. Name the folder that holds the photos."
        )
    if chosen and chosen.reader == "catalogue":
        return from_choice(folder, table, chosen)
    # As the reader looks for them: an address or a path of another machine fits below the folder that holds all.
    images = images_of(_common([path.parent for path in images.paths.values()]))
    if table is not None:
        return _fashion_products(folder, table) or from_table(folder, table, images, synonyms)
    for place in dict.fromkeys((folder, _unwrapped(folder))):
        for form in (_published, _fashion_products, _yolo, _coco, _voc):
            if found := form(place):
                return _as_chosen(found, chosen)
    folder = _unwrapped(folder)
    stems = {path.stem for path in images.paths.values()}
    texts = [path for path in _tables(folder) if path.suffix.lower() != ".txt" or path.stem not in stems]
    tables = [path for path in texts if path.suffix.lower() != ".txt"] or texts
    told, unread = dict[Path, Told](), dict[Path, str]()
    for path in tables:
        try:
            if one := told_by(path, images, synonyms):
                told[path] = one
        except StageError as error:
            unread[path] = str(error)
    boxes = [path for path, one in told.items() if one.boxes]
    named = [path for path in told if path not in boxes] or boxes
    # Competitions have tables of photos without labels beside the one with them.
    labeled = [path for path in named if told[path].labeled] or named
    if len(labeled) > 1:
        names = shown(path.relative_to(folder).as_posix() for path in labeled)
        raise StageError(f"{folder}: {names} each name images. Say which has the labels: TABLE={labeled[0].name}")
    if labeled:
        found = from_table(folder, labeled[0], images, synonyms, boxes[0] if boxes else None)
    else:
        _refuse_bare_labels(folder, images)
        found = _folders(folder, synonyms)
    if found:
        found.unread = [said for path, said in unread.items() if path.suffix.lower() not in (".txt", ".json")]
        return _as_chosen(found, chosen)
    looked = shown(path.relative_to(folder).as_posix() for path in tables if path not in unread)
    reasons = [said for path, said in unread.items() if path.suffix.lower() != ".txt"] or list(unread.values())
    said = f" (no column of {looked} names half of its images)" if len(tables) > len(unread) else ""
    raise StageError(
        f"{folder}: {len(images)} images, and nothing that says what they show"
        f"{said or ('' if unread else f'; found {_census(folder)}')}. "
        + "".join(f"Not read: {reason} " for reason in reasons[:3])
        + f"Expected one of:\n{FORMS.format(kinds=KINDS)}"
    )


def _as_chosen(found: Found, chosen: Chosen | None) -> Found:
    """What was found, with the reader, options and label column that a person chose."""
    if chosen:
        if found.reader != chosen.reader:
            found.what = f"reader {chosen.reader}, as {chosen.profile} says (it looks like {found.what})"
        found.reader, found.options, found.label_column = chosen.reader, chosen.options, chosen.label_column
        found.chosen = chosen
    return found


def _unwrapped(folder: Path) -> Path:
    """The only folder in a folder, as archives have it, unless that holds photos and nothing else."""
    while True:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".") and not companion(path.name)]
        inner = [path for path in folders.subfolders(folder) if not path.is_symlink()]
        if len(inner) != 1 or [path for path in entries if path.is_file()]:
            return folder
        beside = [path for path in inner[0].iterdir() if path.is_dir() or path.suffix.lower() not in IMAGE_SUFFIXES]
        if not beside:
            return folder
        folder = inner[0]


def _census(folder: Path) -> str:
    counts = Counter(entry.path.suffix.lower() or entry.path.name for entry in walk(folder) if not entry.kind)
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(6)) or "an empty folder"


def _below(folder: Path, levels: int, *suffixes: str) -> list[Path]:
    """Files with these suffixes, at most so many folders down; hidden ones left out."""
    found = []
    for place, inner, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__"))) if depth < levels else []
        found += [Path(place) / name for name in sorted(names) if not name.startswith((".", "~$"))]
    return [path for path in found if path.suffix.lower() in suffixes]


def _tables(folder: Path) -> list[Path]:
    found = _below(folder, LEVELS, *SUFFIXES, *UNREAD)
    jsons = [path for path in found if path.suffix.lower() == ".json"]
    # Where there are many they are notes of a tool, one an image.
    return [path for path in found if path not in jsons] if len(jsons) > MOST_JSONS else found


def _yolo(folder: Path) -> Found | None:
    for path in _below(folder, 0, ".yaml", ".yml"):
        try:
            content = parse_yaml(path.read_text(encoding="utf-8-sig"))
        except Exception:  # not YAML, not text: then it is none of YOLO's
            continue
        if isinstance(content, dict) and "names" in content and {"train", "val", "test"} & set(content):
            return Found("yolo", folder, f"a YOLO directory ({path.name})", boxes=True)
    if not _label_files(folder):
        return None
    lists = [folder / "obj.data"] if (folder / "obj.data").is_file() else yolo.class_lists(folder)
    if lists:  # as CVAT, Label Studio, labelImg and Roboflow's Darknet write them
        return Found("yolo", folder, f"a YOLO directory ({lists[0].relative_to(folder).as_posix()})", boxes=True)
    return None


def _label_files(folder: Path) -> list[Path]:
    """Texts that are called as an image and hold boxes as YOLO writes them."""
    stems = {path.stem for path in images_of(folder).paths.values()}
    named = [path for path in Tree(folder).files(folder, ".txt") if path.stem in stems]
    return [path for path in named[:MOST_LABELS] if path.stat().st_size and yolo.is_label_file(path)]


def _refuse_bare_labels(folder: Path, images: Images) -> None:
    """Say what lacks where label files are there and nothing names their classes, or nothing is in them."""
    stems = {path.stem for path in images.paths.values()}
    named = [path for path in Tree(folder).files(folder, ".txt") if path.stem in stems]
    if named and not any(path.stat().st_size for path in named):
        raise StageError(f"{folder}: {len(named)} label files, all of them empty. Export the labels again.")
    if labels := _label_files(folder):
        raise StageError(
            f"{folder}: {len(images)} images and label files as YOLO has them ({labels[0].relative_to(folder)}), and "
            "no data.yaml. It names the classes and the splits: write one with `names: [shirt, ...]`, `train: "
            f"images/train` and `val: images/val`; or {folder.name}/classes.txt with a class a line, in the order of "
            "their numbers, from 0."
        )


def _coco(folder: Path) -> Found | None:
    files = coco.find_files(Tree(folder))
    names = shown(path.relative_to(folder).as_posix() for path in files)
    return Found("coco", folder, f"COCO JSON ({names})", boxes=True) if files else None


def _voc(folder: Path) -> Found | None:
    files = [path for path in _below(folder, LEVELS + 1, ".xml") if b"<annotation" in _head(path)]
    if whole := [path for path in files if b"<annotations" in _head(path)]:
        raise StageError(
            f"{whole[0]}: CVAT's own form, one XML for all images, which is not read. Export the task as Pascal VOC, "
            "COCO or YOLO."
        )
    if not files:
        return None
    annotations = _common([path.parent for path in files])
    stems = {path.stem for path in files}
    pictures = [path.parent for path in images_of(folder).paths.values() if path.stem in stems]
    if not pictures:
        raise StageError(
            f"{folder}: {len(files)} Pascal VOC files in {annotations.name}/ and no image with the name of any. "
            "Put the images beside them or into images/."
        )
    # Masks of segmentations have the images' names.
    images = _common([path for path in pictures if not path.name.startswith("Segmentation")] or pictures)
    first = 1 if b"VOC" in _head(files[0]) else 0
    relative = [place.relative_to(folder).as_posix() for place in (annotations, images)]
    options: dict[str, Any] = {"annotations": relative[0], "images": relative[1], "first_pixel": first}
    if voc.own_splits(folder, annotations, files):
        options["splits"] = True
    said = f"Pascal VOC ({len(files)} .xml in {relative[0]}, images in {relative[1]}, pixels from {first})"
    return Found("voc", folder, said, {"voc": options}, boxes=True)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(2000)


def _fashion_products(folder: Path, table: Path | None = None) -> Found | None:
    path = folder / "styles.csv"
    if not path.is_file() or not (folder / "images").is_dir() or (table and table.resolve() != path.resolve()):
        return None
    header = _head(path).decode("utf-8-sig", "replace").splitlines()[:1]
    named = tuple(name.strip() for name in header[0].split(",")) if header else ()
    if named not in (fashion_products.COLUMNS, fashion_products.COLUMNS[:-1]):
        return None
    return Found(
        "fashion_products",
        folder,
        "Fashion Product Images' form (styles.csv, images/)",
        {"duplicates": "keep"},
        label_column=None,
    )


def _published(folder: Path) -> Found | None:
    """Trees of published data sets, by the files that only they have."""
    level = folder / deepfashion2.tree_level(folder)
    if any((level / split / "annos").is_dir() for split in ("train", "validation")) and (level / "train").is_dir():
        return Found("deepfashion2", folder, "DeepFashion2's tree (train/annos)", boxes=True)
    if (folder / "training").is_dir() and list(folder.rglob("annotations_*.json")):
        display = {"display_width": None, "display_height": None}
        return Found("shoes", folder, "the shoes' tree (annotations_<class>.json)", {"shoes": display}, boxes=True)
    texts = {path.name for path in _below(folder, 3, ".txt")}
    if {"shape_anno_all.txt", "fabric_ann.txt"} <= texts and (folder / "images").is_dir():
        return Found("deepfashion_mm", folder, "DeepFashion-MultiModal's tree", {"duplicates": "keep"},
                     label_column=None)  # fmt: skip
    reader = _benchmark(folder, texts)
    if reader is None:
        return None
    raise StageError(
        f"{folder}: the tree of {BENCHMARKS[reader]}, a benchmark with a split of its own and no labels for a data "
        f"set. Link it as data/raw/{reader}, and list {reader} in `sources` and `benchmarks` of a profile that has a "
        "labeled source (docs/datasets.md; profiles/demo.yaml lists all)."
    )


def _benchmark(folder: Path, texts: set[str]) -> str | None:
    if (folder / "Anno_fine").is_dir() and not (folder / "Anno_coarse").is_dir():
        return "category_fine"
    if "list_category_img.txt" in texts:
        return "category_coarse"
    if "list_eval_partition.txt" in texts:
        return "consumer_to_shop" if "list_bbox_consumer2shop.txt" in texts else "inshop"
    return "fashion144k" if (folder / "photos.txt").is_file() and (folder / "photos").is_dir() else None


def _folders(folder: Path, synonyms: dict[tuple[str, ...], str]) -> Found | None:
    splits = folders.split_folders(folder)
    alone = {folders.SPLIT_FOLDERS.get(place.name.lower()): place for place in folders.subfolders(folder)}
    if not splits and "train" in alone and set(alone) <= {"train", "val", "test"}:
        # A competition's: the photos of the other folders have no labels.
        folder = alone["train"]
    places = [place for base in splits.values() or [folder] for place in folders.subfolders(base)]
    classes = sorted({place.name for place in places if len(images_of(place))})
    if len(classes) < 2:
        return None
    where = f", in {shown(splits)}" if splits else ""
    inner = {file.parent for place in places for file in images_of(place).paths.values()}
    if not inner & set(places) and not any(guess(name, synonyms).superclass for name in classes):
        names = sorted({path.name for path in inner})  # Men/Shirts: the outer folders name no garments
        if any(guess(name, synonyms).superclass for name in names):
            said = f"a folder for each of {len(names)} classes in folders {shown(classes, 4)}{where}"
            return Found("folders", folder, said, {"deepest_folder": True})
    return Found("folders", folder, f"a folder for each of {len(classes)} classes{where}")


def _common(places: list[Path]) -> Path:
    return Path(os.path.commonpath(places))
