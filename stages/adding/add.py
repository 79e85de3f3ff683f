"""Add a person's own data: recognize its format, guess its columns and superclasses, write a profile and a label table.

Usage: python -m stages.run add SOURCE FOLDER [TABLE] [--salient]
       (`make add SOURCE=mystore FOLDER=path [TABLE=items.csv] [SALIENT=1]`)

FOLDER may be anywhere: data/raw/SOURCE becomes a link to it, and its files are only read. TABLE is in FOLDER or next
to it. The command writes profiles/SOURCE.yaml and tables/SOURCE_labels.csv; then `make repro PROFILE=SOURCE` runs
the pipeline. A second run keeps what a person edited, and uses the columns that were changed in the profile.
"""

import csv
import io
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

from stages.adding.measure import Measured, balanced, measure, rejected_lines
from stages.adding.photos import Photos
from stages.adding.profile import (
    LabelTable,
    chosen_in,
    content_of,
    fit,
    fit_detector,
    fit_salient_detector,
    is_edited,
    is_ours,
    label_table,
    profile_text,
)
from stages.adding.recognize import BOXES_OF, recognize
from stages.adding.recognized import Recognized
from stages.adding.report import Report, lines
from stages.adding.superclasses import read_synonyms
from stages.contracts.tables import SHARES, SPLITS
from stages.core.errors import StageError, shown
from stages.core.files import read_text
from stages.core.params import load_params
from stages.core.table_rows import read_rows
from stages.ingest.files import dead_links
from stages.profiles.compose import BASE, LAYERS, PROFILES, compose, over_base, profile_names
from stages.runner.lists import SECTIONS
from stages.runner.stage import new_parser, one_message

TABLES = Path("tables")
NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = ("raw", "demo", BASE, *LAYERS)
SPLITS_FILE = "splits.csv"
SHARES_OF_TRAIN = (0.2, 0.3, 0.4)  # that become validation if the usual tenth leaves none


def add(source: str, folder: Path, table: Path | None, salient: bool = False) -> str:
    """Recognize a folder, write the source's files, and report the guesses and what a person must check.

    Args:
        salient: U²-Net-p draws the boxes of a detector for photos that have none.

    Raises:
        StageError: the name is taken or not valid, the folder has no known format, or it is too small to be split.
    """
    profile = check_name(source)
    root, table = _places(folder, table)
    synonyms = read_synonyms(TABLES)
    chosen = chosen_in(profile, source, text_of(profile)) if profile.is_file() else None
    recognized = recognize(root, table, synonyms, chosen)
    raw = Path(str(load_params(PROFILES / f"{BASE}.yaml")["raw"])) / source
    check_link(raw, recognized.root)
    if recognized.reader in BOXES_OF and not chosen:
        recognized.options["items_from_boxes"] = True
    if salient and (recognized.reader in BOXES_OF or recognized.label_column is None):
        raise StageError(
            f"{recognized.root} is {recognized.what}, and SALIENT draws boxes for photos with one label and no box. "
            "Leave it out."
        )
    labels, measured, wrote = measured_with_splits(source, recognized, synonyms)
    kept = kept_splits(measured, labels)
    fitted = fit(measured, kept["train"], recognized)
    detector, superclass_of = None, labels.superclass_of if labels else {}
    if recognized.boxes and all(measured.boxed[split] for split in SPLITS):
        section = fit_detector(source, measured, recognized, superclass_of, read_superclasses())
        detector = section if section["superclasses"] else None
    elif salient and any(superclass_of.values()):
        detector = fit_salient_detector(measured, superclass_of)
    drawn = salient and detector is not None
    text = profile_text(content_of(source, recognized, fitted, detector, drawn))
    if labels:
        path = TABLES / f"{source}_labels.csv"
        wrote.append(f"{path} (as it was)" if labels.same else write(path, labels.text))
    wrote += [write_profile(profile, text), make_link(raw, recognized.root)]
    from stages.profiles.check import check  # imports torch, which --help and refusals do not need

    check(compose(source), profile)
    warnings = [f"a table was not read: {reason}" for reason in recognized.unread]
    if dead := dead_links(recognized.root):
        named = shown([path.relative_to(recognized.root) for path in dead], 3)
        warnings.append(f"{named}: links that lead nowhere, at which DVC stops in make repro: remove them")
    if not_ignored(recognized.root):
        place = recognized.root.relative_to(Path.cwd())
        warnings.append(f"git would commit the photos of {place}/: move it out of the checkout or into data/raw/, or "
                        f"add /{place}/ to .gitignore")  # fmt: skip
    if linked := linked_folders(recognized.root):
        warnings.append(f"{shown(linked, 3)}: photos behind links to folders are read, but DVC does not see when they "
                        "change")  # fmt: skip
    return "\n".join(
        lines(Report(source, recognized, measured, labels, fitted, detector, wrote, kept, warnings, drawn))
    )


def check_name(source: str) -> Path:
    """The profile's path.

    Raises:
        StageError: the name is no lower-case identifier, or another profile or source has it.
    """
    if not NAME.fullmatch(source):
        raise StageError(
            f"SOURCE is {source!r}: expected a name of lower-case letters, digits and _ that starts with a letter, "
            "such as mystore. It names files and params keys."
        )
    base = load_params(PROFILES / f"{BASE}.yaml")
    profile = PROFILES / f"{source}.yaml"
    members = {name for section in SECTIONS for name in base.get(section) or {}}
    taken = source in profile_names() and not is_ours(text_of(profile))
    if taken or source in RESERVED or source in members:
        where = profile if profile.is_file() else f"{PROFILES}/{BASE}.yaml"
        raise StageError(f"SOURCE is {source!r}, a name that {where} has already. Choose another, such as my_{source}.")
    table = f"{source}_labels.csv"
    known = [name for name in profile_names() if name != source]
    users = [name for name in known if table in text_of(PROFILES / f"{name}.yaml")]
    if users:
        raise StageError(
            f"SOURCE is {source!r}, and {TABLES / table} is the label table of profile {shown(users)}. Choose another "
            f"name, such as my_{source}."
        )
    return profile


def _places(folder: Path, table: Path | None) -> tuple[Path, Path | None]:
    """FOLDER and TABLE as absolute paths; TABLE is a path from FOLDER, else from the working directory."""
    if not folder.is_dir():
        parent = folder.parent if folder.parent.is_dir() else Path()
        present = shown(path.name for path in parent.iterdir() if path.is_dir())
        raise StageError(f"FOLDER is {folder}: no such folder. {parent.resolve()} has the folders {present}.")
    folder = folder.resolve()
    if table is None:
        return folder, None
    table_path = next((path for path in (folder / table, table) if path.is_file()), None)
    if table_path is None:
        present = shown(path.name for path in folder.iterdir() if path.is_file())
        raise StageError(f"TABLE is {table}: no such file in {folder}, nor here. The folder has the files {present}.")
    table_path = table_path.parent.resolve() / table_path.name
    if not table_path.is_relative_to(folder) and table_path.parent != folder.parent:
        raise StageError(
            f"TABLE is {table_path}, neither in FOLDER ({folder}) nor beside it, so changes of it would not be seen. "
            f"Move it there, or link it: ln -s {table_path} {folder}/"
        )
    if not table_path.is_relative_to(folder) and (strange := _strangers(folder, table_path)):
        raise StageError(
            f"TABLE lies beside FOLDER, in {folder.parent}, which has {shown(strange, 5)} as well. Move it into "
            f"FOLDER, or link it: ln -s {table_path} {folder}/"
        )
    return folder, table_path


def _strangers(folder: Path, table: Path) -> list[str]:
    """Folders next to FOLDER: they would become part of the source, which has the table's folder as its root."""
    return sorted(path.name for path in table.parent.iterdir() if path.is_dir() and path != folder)


def kept_splits(measured: Measured, labels: LabelTable | None) -> Counter:
    """Split -> items whose label has a superclass; all items while no label has one."""
    known = [split for label, split in measured.items if labels is None or labels.superclass_of.get(label)]
    return Counter(known or [split for _, split in measured.items])


def measured_with_splits(
    source: str, recognized: Recognized, synonyms: dict[tuple[str, ...], str]
) -> tuple[LabelTable | None, Measured, list[str]]:
    """The labels and counts of a source whose every split has items, and a line for each file written to reach that.

    A hash splits the groups; if they are few, it may leave a split empty. Then more of upstream's training images
    become validation, or a splits file is written that gives each split groups.

    Raises:
        StageError: there are too few photos for three splits.
    """
    annotations = Path("data") / source / "annotations"
    catalogue = recognized.options.get("catalogue") or {}
    grouped = catalogue.get("group_column")
    has_splits = (annotations / SPLITS_FILE).is_file()
    if grouped and has_splits and grouped not in (columns := read_rows(annotations / SPLITS_FILE, ["split"]).columns):
        foreign = shown(name for name in columns if name != "split")
        raise StageError(
            f"{annotations / SPLITS_FILE} is by {foreign}, and photos are now grouped by `{grouped}`. Remove it: where "
            "it is needed it is written anew."
        )
    if grouped and has_splits and not recognized.chosen:
        catalogue["splits"] = SPLITS_FILE
    # A person may name the file in the profile before it exists.
    missing = catalogue.pop("splits", None) if catalogue.get("splits") == SPLITS_FILE and not has_splits else None
    photos = Photos()

    def measure_again() -> tuple[LabelTable | None, Measured, bool]:
        tree = over_base(content_of(source, recognized, {}, None), source)
        measured = measure(source, recognized.root, annotations, TABLES, tree, recognized.label_column, photos)
        labels = None
        if recognized.label_column is not None:
            counts = Counter(label for label, _ in measured.items)
            if not set(measured.box_classes) <= {*counts, *read_superclasses()}:
                counts |= measured.box_classes
            labels = label_table(TABLES / f"{source}_labels.csv", recognized.label_column, counts, synonyms)
        return labels, measured, set(kept_splits(measured, labels)) == set(SPLITS)

    labels, measured, all_splits = measure_again()
    for share in SHARES_OF_TRAIN:
        if not all_splits and measured.upstream and not catalogue.get("splits") and not recognized.chosen:
            recognized.options["val_share"] = share
            labels, measured, all_splits = measure_again()
    notices = []
    free = grouped and not catalogue.get("splits") and not catalogue.get("split_column")
    if missing or (not all_splits and free and not recognized.chosen):
        catalogue["splits"] = SPLITS_FILE
        stream = io.StringIO(newline="")
        rows = sorted(balanced(measured.groups, SHARES).items())
        csv.writer(stream, lineterminator="\n").writerows([(grouped, "split"), *rows])
        notices = [write(annotations / SPLITS_FILE, stream.getvalue())]
        labels, measured, all_splits = measure_again()
    if not all_splits:
        raise StageError(_too_few(recognized, measured, labels, bool(free)))
    return labels, measured, notices


def _too_few(recognized: Recognized, measured: Measured, labels: LabelTable | None, free: bool) -> str:
    """Why a split has no items, and what to do.

    Args:
        free: whether a splits file may assign groups to splits.
    """
    counted = kept_splits(measured, labels)
    text = (
        f"{recognized.root}: {sum(measured.images.values())} photos in {len(measured.groups)} groups give "
        f"{', '.join(f'{counted[split]} {split}' for split in SPLITS)}, and each split needs some with a label. "
    )
    if measured.rejected:
        reasons = "; ".join(rejected_lines(measured.rejected, measured.examples))
        return f"{text}Rejected were {reasons}. Mend these, or add photos."
    if (catalogue := recognized.options.get("catalogue") or {}).get("split_column"):
        return f"{text}Your column `{catalogue['split_column']}` puts them there: change it, or add photos."
    if recognized.chosen and free:
        return (
            f"{text}{recognized.chosen.profile} stays as you edited it: write `splits: {SPLITS_FILE}` into its "
            "`catalogue`, and this command writes that file."
        )
    return f"{text}Add photos: 30 are few, some hundred are better."


def read_superclasses() -> set[str]:
    """The superclasses of tables/superclasses.csv."""
    return {row["superclass"] for _, row in read_rows(TABLES / "superclasses.csv", ["superclass"]).rows}


def text_of(path: Path) -> str:
    """The text of a profile, with ``\\n`` as line ends.

    Raises:
        StageError: it is not UTF-8.
    """
    try:
        return read_text(path).replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise StageError(
            f"{path}: not text in UTF-8, as profiles are. Save it as UTF-8, or delete it to have it written anew."
        ) from None


def write(path: Path, text: str) -> str:
    """Write a file; return a line about it for the report."""
    if path.is_file() and path.read_bytes() == text.encode():
        return f"{path} (as it was)"
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"{path}" if new else f"{path} (new counts, and rows for new labels)"


def write_profile(path: Path, text: str) -> str:
    """Write the profile unless a person edited it; return a line about it for the report."""
    existing = text_of(path) if path.is_file() else None
    if existing == text:
        return f"{path} (as it was)"
    if existing is not None and is_edited(existing):
        return f"{path} was edited and stays as it is; its columns were used. Delete it to have it written anew"
    return write(path, text).replace("(new counts, and rows for new labels)", "(fitted anew)")


def check_link(raw: Path, root: Path) -> None:
    """Check that the source's folder is ``root``, or does not exist yet.

    Raises:
        StageError: it is another folder or link.
    """
    if raw.resolve() == root or not (raw.exists() or raw.is_symlink()):
        return
    what = f"a link to {raw.resolve()}" if raw.is_symlink() else "a folder of its own"
    raise StageError(f"{raw} is {what} already, and FOLDER gives {root}. Remove it, or choose another SOURCE.")


def make_link(raw: Path, root: Path) -> str:
    """Make the source's folder a link to ``root``; return a line about it for the report."""
    if raw.exists():
        return ""
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.symlink_to(root, target_is_directory=True)
    return f"{raw}, a link to {root}"


def linked_folders(root: Path) -> list[str]:
    """Links to folders below a source's folder. DVC does not follow them when it hashes the folder."""
    places = (Path(place) / name for place, names, _ in os.walk(root) for name in names)
    return sorted(path.relative_to(root).as_posix() for path in places if path.is_symlink())


def not_ignored(root: Path) -> bool:
    """Whether git would commit the photos of this folder: it lies in the checkout and is not ignored."""
    if not root.is_relative_to(Path.cwd()):
        return False
    return subprocess.run(["git", "check-ignore", "--quiet", str(root)], check=False).returncode == 1


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("source", help="a name for the data: a lower-case identifier")
    parser.add_argument("folder", type=Path, help="the folder with the photos")
    parser.add_argument("table", type=Path, nargs="?", help="a row for each photo; needed if FOLDER has several tables")
    parser.add_argument("--salient", action="store_true", help="let U²-Net-p draw boxes, from which a detector learns")
    args = parser.parse_args()
    with one_message():
        print(add(args.source, args.folder, args.table, args.salient))
