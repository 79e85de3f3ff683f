"""Which of the readers reads a folder: told by its files and tables, without decoding a picture."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.adding.columns import Columns, group_columns, image_columns, label_columns
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml
from stages.core.table_rows import KINDS, SUFFIXES, Rows, read_rows
from stages.ingest.files import Tree, walk
from stages.ingest.lookup import Images
from stages.ingest.readers import coco, deepfashion2, fashion_products, folders
from stages.ingest.readers.catalogue import box_columns

LEVELS = 2  # folders below FOLDER in which a table is looked for
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
  a table ({kinds}) with a column that names images and one with labels
  a folder for each class with its images
  boxes as YOLO (data.yaml, images/, labels/), Pascal VOC (an .xml an image) or COCO (one JSON)"""


@dataclass
class Found:
    """How a folder is read.

    Attributes:
        root: what becomes the source's folder: FOLDER, or the one above it where the table lies there.
        options: settings of ``ingest.<source>`` beside the reader.
        what: the format in words.
        guesses: (what, guess in words) of a catalogue's columns, to be shown.
        label_column: of the items; None where the reader's own policy knows.
        boxes: whether the source has boxes, and the column of their class.
    """

    reader: str
    root: Path
    what: str
    options: dict[str, Any] = field(default_factory=dict)
    guesses: list[tuple[str, str]] = field(default_factory=list)
    label_column: str | None = "label"
    boxes: bool = False


def recognise(folder: Path, table: Path | None, synonyms: dict[tuple[str, ...], str]) -> Found:
    """The reader of a folder and its options.

    Raises:
        StageError: the folder holds no images, or nothing that says what they show, or two tables that do.
    """
    images = images_of(folder)
    if not images:
        raise StageError(
            f"{folder}: no image files ({', '.join(sorted(IMAGE_SUFFIXES))}) in it or below it; found "
            f"{_census(folder)}. Name the folder that holds the photos."
        )
    # As the reader looks for them: an address or a path of another machine fits below the folder that holds all.
    images = images_of(_common([path.parent for path in images.paths.values()]))
    if table is not None:
        return _fashion_products(folder, table) or _from_table(folder, table, images, synonyms)
    for form in (_published, _fashion_products, _yolo, _coco, _voc):
        if found := form(folder):
            return found
    tables = [path for path in _tables(folder) if path.suffix.lower() != ".txt"] or _tables(folder)
    told = {path: guessed for path in tables if (guessed := _naming(path, folder, images))}
    boxes = [path for path, (rows, column) in told.items() if box_columns(rows.columns, column)]
    labeled = [path for path in told if path not in boxes] or boxes
    if len(labeled) > 1:
        names = shown(path.relative_to(folder).as_posix() for path in labeled)
        raise StageError(f"{folder}: {names} each name images. Say which has the labels: TABLE={labeled[0].name}")
    if labeled:
        return _from_table(folder, labeled[0], images, synonyms, boxes[0] if boxes else None)
    if found := _folders(folder):
        return found
    looked = shown(path.relative_to(folder).as_posix() for path in tables)
    raise StageError(
        f"{folder}: {len(images)} images, and nothing that says what they show"
        f"{f' (no column of {looked} names half of its images)' if tables else f'; found {_census(folder)}'}. "
        f"Expected one of:\n{FORMS.format(kinds=KINDS)}"
    )


def images_of(folder: Path) -> Images:
    """The images below a folder, as readers see them."""
    return Tree(folder).images(folder)


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
    return _below(folder, LEVELS, *SUFFIXES)


def _yolo(folder: Path) -> Found | None:
    for path in _below(folder, 0, ".yaml", ".yml"):
        try:
            content = parse_yaml(path.read_text(encoding="utf-8-sig"))
        except Exception:  # not YAML, not text: then it is none of YOLO's
            continue
        if isinstance(content, dict) and "names" in content and {"train", "val", "test"} & set(content):
            return Found("yolo", folder, f"a YOLO directory ({path.name})", boxes=True)
    # As CVAT and Label Studio write them.
    for name in ("obj.data", "classes.txt"):
        if (folder / name).is_file() and _below(folder, LEVELS, ".txt"):
            return Found("yolo", folder, f"a YOLO directory ({name})", boxes=True)
    if _below(folder, LEVELS, ".txt") and {"images", "labels"} <= {path.name for path in folder.rglob("*/")}:
        raise StageError(
            f"{folder}: images/ and labels/ as in a YOLO directory, and no data.yaml. It names the classes and the "
            "splits: write one with `names: [shirt, ...]`, `train: images/train` and `val: images/val`; or classes.txt "
            "with a class a line."
        )
    return None


def _coco(folder: Path) -> Found | None:
    files = coco.find_files(Tree(folder))
    names = shown(path.relative_to(folder).as_posix() for path in files)
    return Found("coco", folder, f"COCO JSON ({names})", boxes=True) if files else None


def _voc(folder: Path) -> Found | None:
    files = [path for path in _below(folder, LEVELS + 1, ".xml") if b"<annotation" in _head(path)]
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
    images = _common(pictures)
    first = 1 if b"VOC" in _head(files[0]) else 0
    relative = [place.relative_to(folder).as_posix() for place in (annotations, images)]
    options = {"voc": {"annotations": relative[0], "images": relative[1], "first_pixel": first}}
    said = f"Pascal VOC ({len(files)} .xml in {relative[0]}, images in {relative[1]}, pixels from {first})"
    return Found("voc", folder, said, options, boxes=True)


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
        "labelled source (docs/datasets.md; profiles/demo.yaml lists all)."
    )


def _benchmark(folder: Path, texts: set[str]) -> str | None:
    if (folder / "Anno_fine").is_dir() and not (folder / "Anno_coarse").is_dir():
        return "category_fine"
    if "list_category_img.txt" in texts:
        return "category_coarse"
    if "list_eval_partition.txt" in texts:
        return "consumer_to_shop" if "list_bbox_consumer2shop.txt" in texts else "inshop"
    return "fashion144k" if (folder / "photos.txt").is_file() and (folder / "photos").is_dir() else None


def _folders(folder: Path) -> Found | None:
    splits = folders.split_folders(folder)
    places = [place for base in splits.values() or [folder] for place in folders.subfolders(base)]
    classes = sorted({place.name for place in places if len(images_of(place))})
    if len(classes) < 2:
        return None
    said = f"a folder for each of {len(classes)} classes" + (f", in {shown(splits)}" if splits else "")
    return Found("folders", folder, said)


def _finder(images: Images) -> Callable[[str], bool]:
    """Whether a table's value names one of the images, as reader catalogue looks for them."""
    return lambda value: bool(images.find(value).image_id)


def _naming(path: Path, folder: Path, images: Images) -> tuple[Rows, str] | None:
    """The rows of a table that names images, and the column that does; None where it does not."""
    try:
        rows = read_rows(path)
    except StageError:
        return None
    columns = image_columns(rows, _finder(images))
    return (rows, next(iter(columns))) if columns else None


def _from_table(
    folder: Path, table: Path, images: Images, synonyms: dict[tuple[str, ...], str], boxes: Path | None = None
) -> Found:
    root = folder if table.is_relative_to(folder) else table.parent
    rows = read_rows(table)
    finds = _finder(images)
    named = image_columns(rows, finds)
    if not named:
        raise StageError(
            f"{table}: no column names images of {folder} ({rows.read_as}). It has {_examples(rows)}; files are "
            f"{shown(sorted(path.name for path in images.paths.values())[:3])}. Add a column with the files' names."
        )
    image = next(iter(named))
    labels = label_columns(rows, image, synonyms)
    corners = box_columns(rows.columns, image)
    if boxes is None and corners:
        boxes = table
    if not labels:
        raise StageError(
            f"{table}: no column looks like labels. It has {_examples(rows)}. A label has few short values, which name "
            "garments (tables/superclass_synonyms.csv), or its column is called `label`: rename it so, and give each "
            "label a superclass afterwards."
        )
    groups = group_columns(rows, (image, labels[0]))
    columns = Columns(image, labels[0], groups[0] if groups else None, labels[1:], groups[1:])
    catalogue = {
        "table": table.relative_to(root).as_posix(),
        "images": images.folder.relative_to(root).as_posix(),
        "image_column": columns.image,
        "group_column": columns.group,
        "item_columns": [columns.label],
    }
    if boxes:
        catalogue["boxes"] = boxes.relative_to(root).as_posix()
        catalogue["boxes_class_column"] = _class_column(boxes, columns.label)
    options: dict[str, Any] = {"catalogue": {key: value for key, value in catalogue.items() if value}}
    said = f"a catalogue, {table.name} ({rows.read_as}; {len(rows.rows)} rows), images in {catalogue['images']}"
    found = Found("catalogue", root, said, options, label_column=columns.label, boxes=boxes is not None)
    if boxes == table and len({row[image] for _, row in rows.rows}) < len(rows.rows):
        # A row a box: then boxes are the items, and the class of a box its label.
        options["catalogue"]["boxes_class_column"] = columns.label
        options["items_from_boxes"], found.label_column = True, "label"
    found.guesses = _guesses(rows, columns, named, finds)
    return found


def _class_column(boxes: Path, label: str) -> str:
    columns = read_rows(boxes).columns
    names = ("superclass", label, "label", "class", "class_name", "category", "name")
    column = next((name for name in names if name in columns), None)
    if column is None:
        raise StageError(f"{boxes}: boxes without a class; it has {shown(columns)}. Name a column `label`.")
    return column


def _common(places: list[Path]) -> Path:
    return Path(os.path.commonpath(places))


def _examples(rows: Rows) -> str:
    first = rows.rows[0][1]
    return ", ".join(f"`{name}` ({first[name][:24]!r}, ...)" for name in rows.columns[:8])


def _guesses(
    rows: Rows, columns: Columns, named: dict[str, float], finds: Callable[[str], bool]
) -> list[tuple[str, str]]:
    values = [row[columns.image] for _, row in rows.rows]
    lost = [value for value in values if not finds(value)]
    missing = f"; not found: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}" if lost else ""
    others = [name for name in named if name != columns.image]
    labels = Counter(row[columns.label] for _, row in rows.rows)
    lines = [
        ("images", f"column `{columns.image}`: {len(values) - len(lost)} of {len(values)} rows find a file{missing}"
         + _also(others)),
        ("labels", f"column `{columns.label}`: {len(labels)} different" + _also(columns.other_labels)),
    ]  # fmt: skip
    if columns.group:
        count = len({row[columns.group] for _, row in rows.rows})
        lines.append(("groups", f"column `{columns.group}`: {count} different, and photos of one never cross splits"
                      + _also(columns.other_groups)))  # fmt: skip
    else:
        lines.append(("groups", "no column says who or what a photo is of (sender, product): each photo is a group of "
                      "its own. If two photos show one item, set `group_column` in the profile"))  # fmt: skip
    return lines


def _also(others: list[str]) -> str:
    return f" (CHECK: or is it {' or '.join(f'`{name}`' for name in others[:3])}?)" if others else ""
