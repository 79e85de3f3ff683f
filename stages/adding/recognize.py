"""Choose the reader of a folder by its files and tables, without decoding an image."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from stages.adding.recognized import Chosen, Recognized, images_of
from stages.adding.superclasses import guess
from stages.adding.tables import Candidate, candidate, from_choice, from_table
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml
from stages.core.table_rows import FORMATS, SUFFIXES, UNREAD
from stages.ingest.files import Tree, companion, walk
from stages.ingest.lookup import Images
from stages.ingest.readers import coco, deepfashion2, fashion_products, folders, voc, yolo, yolo_layout

LEVELS = 2  # of folders below FOLDER in which a table is searched
MOST_JSONS = 20  # JSON files next to photos that may be tables
MOST_LABELS = 200  # label files that are opened
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
  a table ({formats})
    with a column that names images and one with labels
  a folder for each class with its images
  boxes as YOLO (data.yaml or classes.txt, images/, labels/), Pascal VOC (an .xml an image) or COCO (one JSON)"""


def recognize(
    folder: Path, table: Path | None, synonyms: dict[tuple[str, ...], str], chosen: Chosen | None = None
) -> Recognized:
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
    # The reader looks names up from the folder that holds all images: addresses and paths of other machines fit there.
    images = images_of(_common([path.parent for path in images.paths.values()]))
    if table is not None:
        return _fashion_products(folder, table) or from_table(folder, table, images, synonyms)
    for place in dict.fromkeys((folder, _unwrapped(folder))):
        for form in (_published, _fashion_products, _yolo, _coco, _voc):
            if recognized := form(place):
                return _as_chosen(recognized, chosen)
    folder = _unwrapped(folder)
    stems = {path.stem for path in images.paths.values()}
    texts = [path for path in _tables(folder) if path.suffix.lower() != ".txt" or path.stem not in stems]
    tables = [path for path in texts if path.suffix.lower() != ".txt"] or texts
    candidates, unread = dict[Path, Candidate](), dict[Path, str]()
    for path in tables:
        try:
            if named := candidate(path, images, synonyms):
                candidates[path] = named
        except StageError as error:
            unread[path] = str(error)
    boxes = [path for path, named in candidates.items() if named.boxes]
    items = [path for path in candidates if path not in boxes] or boxes
    # Competitions have tables of photos without labels next to the one with labels.
    labeled = [path for path in items if candidates[path].labeled] or items
    if len(labeled) > 1:
        names = shown(path.relative_to(folder).as_posix() for path in labeled)
        raise StageError(f"{folder}: {names} each name images. Say which has the labels: TABLE={labeled[0].name}")
    if labeled:
        recognized = from_table(folder, labeled[0], images, synonyms, boxes[0] if boxes else None)
    else:
        _refuse_bare_labels(folder, images)
        recognized = _folders(folder, synonyms)
    if recognized:
        recognized.unread = [why for path, why in unread.items() if path.suffix.lower() not in (".txt", ".json")]
        return _as_chosen(recognized, chosen)
    looked = shown(path.relative_to(folder).as_posix() for path in tables if path not in unread)
    reasons = [why for path, why in unread.items() if path.suffix.lower() != ".txt"] or list(unread.values())
    searched = f" (no column of {looked} names half of its images)" if len(tables) > len(unread) else ""
    raise StageError(
        f"{folder}: {len(images)} images, and nothing that says what they show"
        f"{searched or ('' if unread else f'; found {_census(folder)}')}. "
        + "".join(f"Not read: {reason} " for reason in reasons[:3])
        + f"Expected one of:\n{FORMS.format(formats=FORMATS)}"
    )


def _as_chosen(recognized: Recognized, chosen: Chosen | None) -> Recognized:
    """``recognized`` with the reader, options and label column that a person chose in the profile."""
    if chosen:
        if recognized.reader != chosen.reader:
            recognized.what = f"reader {chosen.reader}, as {chosen.profile} says (it looks like {recognized.what})"
        recognized.reader, recognized.options = chosen.reader, chosen.options
        recognized.label_column = chosen.label_column
        recognized.chosen = chosen
    return recognized


def _unwrapped(folder: Path) -> Path:
    """The only folder in a folder, as archives have it, unless it holds nothing but photos."""
    while True:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".") and not companion(path.name)]
        inner = [path for path in folders.subfolders(folder) if not path.is_symlink()]
        if len(inner) != 1 or [path for path in entries if path.is_file()]:
            return folder
        content = [path for path in inner[0].iterdir() if path.is_dir() or path.suffix.lower() not in IMAGE_SUFFIXES]
        if not content:
            return folder
        folder = inner[0]


def _census(folder: Path) -> str:
    counts = Counter(entry.path.suffix.lower() or entry.path.name for entry in walk(folder) if not entry.kind)
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(6)) or "an empty folder"


def _below(folder: Path, levels: int, *suffixes: str) -> list[Path]:
    """Files with these suffixes, at most ``levels`` folders down, without hidden ones."""
    paths = []
    for place, inner, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__"))) if depth < levels else []
        paths += [Path(place) / name for name in sorted(names) if not name.startswith((".", "~$"))]
    return [path for path in paths if path.suffix.lower() in suffixes]


def _tables(folder: Path) -> list[Path]:
    files = _below(folder, LEVELS, *SUFFIXES, *UNREAD)
    jsons = [path for path in files if path.suffix.lower() == ".json"]
    # Many JSON files are notes of a tool, one for each image.
    return [path for path in files if path not in jsons] if len(jsons) > MOST_JSONS else files


def _yolo(folder: Path) -> Recognized | None:
    for path in _below(folder, 0, ".yaml", ".yml"):
        try:
            content = parse_yaml(path.read_text(encoding="utf-8-sig"))
        except Exception:  # neither YAML nor text: not a data.yaml
            continue
        if isinstance(content, dict) and "names" in content and {"train", "val", "test"} & set(content):
            return Recognized("yolo", folder, f"a YOLO directory ({path.name})", boxes=True)
    if not _label_files(folder):
        return None
    lists = [folder / "obj.data"] if (folder / "obj.data").is_file() else yolo_layout.class_lists(folder)
    if lists:  # as CVAT, Label Studio, labelImg and Roboflow's Darknet write them
        return Recognized("yolo", folder, f"a YOLO directory ({lists[0].relative_to(folder).as_posix()})", boxes=True)
    return None


def _label_files(folder: Path) -> list[Path]:
    """Text files that have the name of an image and hold boxes in YOLO's format."""
    stems = {path.stem for path in images_of(folder).paths.values()}
    named = [path for path in Tree(folder).files(folder, ".txt") if path.stem in stems]
    return [path for path in named[:MOST_LABELS] if path.stat().st_size and yolo.is_label_file(path)]


def _refuse_bare_labels(folder: Path, images: Images) -> None:
    """Refuse label files that are all empty, or whose classes no file names.

    Raises:
        StageError: with what to do.
    """
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


def _coco(folder: Path) -> Recognized | None:
    files = coco.find_files(Tree(folder))
    names = shown(path.relative_to(folder).as_posix() for path in files)
    return Recognized("coco", folder, f"COCO JSON ({names})", boxes=True) if files else None


def _voc(folder: Path) -> Recognized | None:
    files = [path for path in _below(folder, LEVELS + 1, ".xml") if b"<annotation" in _head(path)]
    if annotated := [path for path in files if b"<annotations" in _head(path)]:
        raise StageError(
            f"{annotated[0]}: CVAT's own form, one XML for all images, which is not read. Export the task as "
            "Pascal VOC, COCO or YOLO."
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
    # Masks of segmentations have the names of images.
    images = _common([path for path in pictures if not path.name.startswith("Segmentation")] or pictures)
    first = 1 if b"VOC" in _head(files[0]) else 0
    relative = [place.relative_to(folder).as_posix() for place in (annotations, images)]
    options: dict[str, Any] = {"annotations": relative[0], "images": relative[1], "first_pixel": first}
    if voc.own_splits(folder, annotations, files):
        options["splits"] = True
    description = f"Pascal VOC ({len(files)} .xml in {relative[0]}, images in {relative[1]}, pixels from {first})"
    return Recognized("voc", folder, description, {"voc": options}, boxes=True)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(2000)


def _fashion_products(folder: Path, table: Path | None = None) -> Recognized | None:
    path = folder / "styles.csv"
    if not path.is_file() or not (folder / "images").is_dir() or (table and table.resolve() != path.resolve()):
        return None
    header = _head(path).decode("utf-8-sig", "replace").splitlines()[:1]
    named = tuple(name.strip() for name in header[0].split(",")) if header else ()
    if named not in (fashion_products.COLUMNS, fashion_products.COLUMNS[:-1]):
        return None
    return Recognized(
        "fashion_products",
        folder,
        "Fashion Product Images' form (styles.csv, images/)",
        {"duplicates": "keep"},
        label_column=None,
    )


def _published(folder: Path) -> Recognized | None:
    """A published data set, recognized by files that only its tree has."""
    level = folder / deepfashion2.tree_level(folder)
    if any((level / split / "annos").is_dir() for split in ("train", "validation")) and (level / "train").is_dir():
        return Recognized("deepfashion2", folder, "DeepFashion2's tree (train/annos)", boxes=True)
    if (folder / "training").is_dir() and list(folder.rglob("annotations_*.json")):
        display = {"display_width": None, "display_height": None}
        return Recognized("shoes", folder, "the shoes' tree (annotations_<class>.json)", {"shoes": display}, boxes=True)
    texts = {path.name for path in _below(folder, 3, ".txt")}
    if {"shape_anno_all.txt", "fabric_ann.txt"} <= texts and (folder / "images").is_dir():
        return Recognized("deepfashion_mm", folder, "DeepFashion-MultiModal's tree", {"duplicates": "keep"},
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


def _folders(folder: Path, synonyms: dict[tuple[str, ...], str]) -> Recognized | None:
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
            description = f"a folder for each of {len(names)} classes in folders {shown(classes, 4)}{where}"
            return Recognized("folders", folder, description, {"deepest_folder": True})
    return Recognized("folders", folder, f"a folder for each of {len(classes)} classes{where}")


def _common(places: list[Path]) -> Path:
    return Path(os.path.commonpath(places))
