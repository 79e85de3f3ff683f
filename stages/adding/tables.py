"""A catalogue: a table of photos whose columns are guessed from their values, or chosen by a person."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.adding.columns import (
    Columns,
    group_columns,
    image_columns,
    label_columns,
    refused_labels,
    split_column,
)
from stages.adding.recognized import Chosen, Recognized, images_of
from stages.core.errors import StageError, shown
from stages.core.table_rows import TextTable, read_rows
from stages.ingest.lookup import Images, without_suffix
from stages.ingest.readers.catalogue import box_columns

GUESSED_ANEW = "Correct it there, or delete the file to have columns guessed anew."


@dataclass(frozen=True)
class Candidate:
    """A table that names images: whether it has boxes, and whether it has labels."""

    rows: TextTable
    image: str
    boxes: bool
    labeled: bool


def finder(images: Images) -> Callable[[str], bool]:
    """A function that says whether a value names one of the images, by the rules of reader catalogue."""
    return lambda value: bool(images.find(value).image_id)


def candidate(path: Path, images: Images, synonyms: dict[tuple[str, ...], str]) -> Candidate | None:
    """The table if a column of it names the images, else None.

    Raises:
        StageError: it cannot be read.
    """
    rows = read_rows(path)
    image = next(iter(image_columns(rows, finder(images))), None)
    if image is None:
        return None
    return Candidate(rows, image, bool(box_columns(rows.columns, image)), bool(label_columns(rows, [image], synonyms)))


def from_table(
    folder: Path, table: Path, images: Images, synonyms: dict[tuple[str, ...], str], boxes: Path | None = None
) -> Recognized:
    """A catalogue with guessed columns.

    Args:
        boxes: a second table, of boxes.

    Raises:
        StageError: the table cannot be read, or no column names images or holds labels.
    """
    root = folder if table.is_relative_to(folder) else table.parent
    rows = read_rows(table)
    finds = finder(images)
    named = image_columns(rows, finds)
    if not named:
        _check_header(rows, table, finds)
        raise StageError(
            f"{table}: no column names images of {folder} ({rows.read_as}). It has {_examples(rows)}; files are "
            f"{shown(sorted(path.name for path in images.paths.values())[:3])}. Add a column with the files' names."
            + (" This is Label Studio's full JSON: export JSON-MIN or CSV." if "annotations" in rows.columns else "")
        )
    image = next(iter(named))
    _check_header(rows, table, finds)
    split, refused = split_column(rows, [image])
    taken = [image, *([split] if split else [])]
    labels = label_columns(rows, taken, synonyms)
    refused |= refused_labels(rows, taken)
    if boxes is None and box_columns(rows.columns, image):
        boxes = table
    if not labels:
        hints = "".join(f" `{name}` holds none: {why}." for name, why in refused_labels(rows, taken).items())
        flags = [name for name in rows.columns if {row[name] for _, row in rows.rows} == {"0", "1"}]
        if len(flags) > 1:
            hints += f" {shown(flags, 4)} are 0 or 1: write the name of the one that is 1 into a column `label`."
        raise StageError(
            f"{table}: no column looks like labels. It has {_examples(rows)}.{hints} A label has few short values, "
            "which name garments (tables/superclass_synonyms.csv), or its column is called `label`: rename it so, and "
            "give each label a superclass afterwards."
        )
    groups = group_columns(rows, (*taken, labels[0]))
    columns = Columns(image, labels[0], groups[0] if groups else None, split, labels[1:], groups[1:], refused)
    catalogue = {
        "table": table.relative_to(root).as_posix(),
        "images": images.folder.relative_to(root).as_posix(),
        "image_column": columns.image,
        "group_column": columns.group,
        "split_column": columns.split,
        "item_columns": [columns.label],
    }
    if boxes:
        catalogue["boxes"] = boxes.relative_to(root).as_posix()
        catalogue["boxes_class_column"] = _class_column(boxes, columns.label)
    options: dict[str, Any] = {"catalogue": {key: value for key, value in catalogue.items() if value}}
    recognized = Recognized(
        "catalogue", root, _description(table, rows, catalogue), options, label_column=columns.label
    )
    recognized.boxes = boxes is not None
    if boxes == table and len({row[image] for _, row in rows.rows}) < len(rows.rows):
        # Each row is a box: the boxes are the items, and a box's class is its label.
        options["catalogue"]["boxes_class_column"] = columns.label
        options["items_from_boxes"], recognized.label_column = True, "label"
    recognized.guesses = _guesses(rows, columns, [name for name in named if name != image], finds)
    recognized.refused = refused
    return recognized


def from_choice(folder: Path, table: Path | None, chosen: Chosen) -> Recognized:
    """A catalogue with the columns that a person chose in the profile.

    Raises:
        StageError: the profile names a table or a column that is not there, or two label columns.
    """
    catalogue = dict(chosen.options.get("catalogue") or {})
    name = str(catalogue.get("table"))
    root = next((place for place in (folder, folder.parent) if (place / name).is_file()), None)
    if root is None:
        raise StageError(f"{chosen.profile}: `table` is {name!r}, and {folder} has no such file. {GUESSED_ANEW}")
    path = (root / name).resolve()
    if table is not None and table.resolve() != path:
        raise StageError(f"TABLE is {table}, and {chosen.profile}, which was edited, names {name}. {GUESSED_ANEW}")
    rows = read_rows(root / name)
    keys = ("image_column", "group_column", "split_column")
    named = {key: str(catalogue[key]) for key in keys if catalogue.get(key) is not None}
    items = [str(entry) for entry in catalogue.get("item_columns") or []]
    wanted = [*named.items(), *(("item_columns", entry) for entry in items)]
    if "image_column" not in named:
        raise StageError(f"{chosen.profile}: the catalogue has no `image_column`. {GUESSED_ANEW}")
    if missing := [f"`{key}` names {column!r}" for key, column in wanted if column not in rows.columns]:
        raise StageError(
            f"{chosen.profile}: {', '.join(missing)}, and {root / name} has no such column; it has "
            f"{shown(rows.columns)}. {GUESSED_ANEW}"
        )
    from_boxes = chosen.options.get("items_from_boxes")
    if not from_boxes and chosen.label_column not in items:
        raise StageError(
            f"{chosen.profile}: `label_column` of section labels is {chosen.label_column!r}, and `item_columns` of the "
            f"catalogue are {shown(items)}. Write the label's column in both places."
        )
    images = images_of(root / str(catalogue.get("images", ".")))
    label = str(catalogue.get("boxes_class_column")) if from_boxes else str(chosen.label_column)
    columns = Columns(named.get("image_column", ""), label, named.get("group_column"), named.get("split_column"))
    recognized = Recognized(
        "catalogue", root, _description(root / name, rows, catalogue), chosen.options, chosen=chosen
    )
    recognized.label_column, recognized.boxes = chosen.label_column, bool(catalogue.get("boxes"))
    recognized.guesses = _guesses(rows, columns, [], finder(images))
    return recognized


def _description(table: Path, rows: TextTable, catalogue: dict[str, Any]) -> str:
    return f"a catalogue, {table.name} ({rows.read_as}; {len(rows.rows)} rows), images in {catalogue['images']}"


def _check_header(rows: TextTable, table: Path, finds: Callable[[str], bool]) -> None:
    """Refuse a table without a header: its first row would be lost, and its values would name the columns."""
    if data := [name for name in rows.columns if without_suffix(name) != name and finds(name)]:
        raise StageError(
            f"{table}: the first line names an image ({data[0]!r}), so the table has no header. Put a line above it "
            "that names the columns, such as `image,label`."
        )


def _class_column(boxes: Path, label: str) -> str:
    rows = read_rows(boxes)
    names = ("superclass", label, "label", "class", "class_name", "category", "name")
    column = next((name for name in names if any(row.get(name) for _, row in rows.rows)), None)
    if column is None:
        raise StageError(
            f"{boxes}: boxes without a class; it has {shown(rows.columns)}. Name a column that has one `label`."
        )
    return column


def _examples(rows: TextTable) -> str:
    first = rows.rows[0][1]
    return ", ".join(f"`{name}` ({first[name][:24]!r}, ...)" for name in rows.columns[:8])


def _guesses(
    rows: TextTable, columns: Columns, other_images: list[str], finds: Callable[[str], bool]
) -> list[tuple[str, str]]:
    values = [row[columns.image] for _, row in rows.rows]
    lost = [value for value in values if not finds(value)]
    missing = f"; not found: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}" if lost else ""
    labels = Counter(row[columns.label] for _, row in rows.rows if columns.label in row)
    empty = f", and {labels.pop('')} of {len(values)} rows without one" if "" in labels else ""
    lines = [
        ("images", f"column `{columns.image}`: {len(values) - len(lost)} of {len(values)} rows find a file{missing}"
         + _also(other_images)),
        ("labels", f"column `{columns.label}`: {len(labels)} different{empty}" + _also(columns.other_labels)),
    ]  # fmt: skip
    lines += [
        ("labels", f"column `{name}` is not taken: {columns.refused[name]}")
        for name in refused_labels(rows, [columns.image]) if name in columns.refused and name != columns.label
    ]  # fmt: skip
    if columns.group:
        count = len({row[columns.group] for _, row in rows.rows})
        kept = "" if columns.split else ", and photos of one never cross splits"
        lines.append(("groups", f"column `{columns.group}`: {count} different{kept}" + _also(columns.other_groups)))
    else:
        lines.append(("groups", "no column says who or what a photo is of (sender, product): each photo is a group of "
                      "its own. If two photos show one item, set `group_column` in the profile"))  # fmt: skip
    return lines


def _also(further: list[str]) -> str:
    return f" (CHECK: or is it {' or '.join(f'`{name}`' for name in further[:3])}?)" if further else ""
