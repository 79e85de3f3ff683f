"""Fashion144k (the StyleNet release): photos.txt, photos/, item labels and splits in NumPy or MATLAB files.

    photos.txt                  a path a line; the line's number, from 0, is the photo's index in all other files
    feat/singles_at_59.npy      [photos, 59] of 0 and 1: the item labels without colors that the published system uses;
                                or feat/feat_sin.npy, [photos, 123], StyleNet's own labels, colors among them
    feat/singles_at_59.txt      names of the columns, a line each; feat/singles.txt for the 123. Without names the
                                labels are called label_00, label_01, ...
    {train,valid,test}ids.npy   indices of each split; or split.mat with variables of these names

The format is taken from public code that loads the release, not from the release itself.
"""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.errors import StageError, shown
from stages.ingest.readers.deepfashion_lists import (
    find_list,
    list_images,
    need_list,
    reject_unnamed,
    status_counts,
    text_lines,
)
from stages.ingest.reading import ImageFile, Reading, Request
from stages.ingest.splitting import held_out

IDS = {"train": "trainids", "val": "validids", "test": "testids"}  # our split -> upstream's name


def load_array(path: Path) -> np.ndarray:
    """A NumPy file's array.

    Raises:
        StageError: it is none, or has objects, whose loading would run code.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise StageError(f"{path}: not a plain NumPy array ({error}). Download it again.") from None


def read_labels(path: Path, photos: int) -> np.ndarray:
    """bool [photos, labels].

    Raises:
        StageError: the array has another shape, or values other than 0 and 1.
    """
    matrix = load_array(path)
    if matrix.ndim != 2 or matrix.shape[0] != photos or not matrix.shape[1]:
        raise StageError(
            f"{path}: an array {list(matrix.shape)}, expected [{photos}, labels]: a row for each line of photos.txt. "
            "Download both again."
        )
    if matrix.dtype.kind not in "buif" or not np.isin(matrix, (0, 1)).all():
        values = shown(np.unique(matrix)[:50], 6)
        raise StageError(f"{path}: values {values}; expected 0 and 1. Download it again.")
    return matrix.astype(bool)


def read_splits(request: Request, expected: str, photos: int) -> dict[int, list[str]]:
    """Photo index -> the splits that name it, from train to test.

    Without validids or testids their photos are in no split, which the account notes.

    Raises:
        StageError: there are no training ids, or an id belongs to no photo.
    """
    arrays = _id_arrays(request)
    if "train" not in arrays:
        raise StageError(
            f"source {request.source}: no trainids in {request.root} (looked for trainids.npy, split.mat). "
            f"Expected {expected}."
        )
    absent = [IDS[split] for split in IDS if split not in arrays]
    if absent:
        request.account.note("splits", {"missing": shown(absent)})
    first = _first_index(arrays, photos)
    result: dict[int, list[str]] = {}
    for split, ids in arrays.items():
        if outside := [int(index) for index in ids if not first <= index < photos + first]:
            raise StageError(
                f"{request.root}, {IDS[split]}: {shown(outside, 4)}; expected indices from {first} below "
                f"{photos + first}: photos.txt has {photos} lines. Download both again."
            )
        for index in np.unique(ids).tolist():
            result.setdefault(index - first, []).append(split)
    return result


def _first_index(arrays: dict[str, np.ndarray], photos: int) -> int:
    """1 if the ids must count from 1, because the largest is the number of photos and 0 does not occur."""
    every = np.concatenate([*arrays.values(), np.empty(0, np.int64)])
    return int(every.size > 0 and every.max() == photos and every.min() >= 1)


def _id_arrays(request: Request) -> dict[str, np.ndarray]:
    """Our split -> upstream's ids, int64 [n]."""
    matlab = find_list(request.files, "split.mat")
    content = _load_matlab(matlab) if matlab else {}
    arrays = {}
    for split, name in IDS.items():
        path = find_list(request.files, f"{name}.npy", f"feat/{name}.npy")
        values = load_array(path) if path else content.get(name)
        if values is None:
            continue
        flat = np.asarray(values).reshape(-1)
        if flat.dtype.kind not in "iuf" or not (flat == np.floor(flat)).all():
            raise StageError(
                f"{path or matlab}, {name}: {flat.dtype} values, expected whole numbers. Download it again."
            )
        arrays[split] = flat.astype(np.int64)
    return arrays


def _load_matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        return loadmat(path)
    except (ValueError, OSError, NotImplementedError, TypeError) as error:
        raise StageError(
            f"{path}: not a MATLAB file that SciPy reads ({error}). Expected one up to version 7.2, or "
            "{train,valid,test}ids.npy next to it."
        ) from None


EXPECTED = (
    "photos.txt, photos/, feat/singles_at_59.npy (or feat/feat_sin.npy) and {train,valid,test}ids.npy (or split.mat)"
)
LABELS = (("feat/singles_at_59.npy", "feat/singles_at_59.txt"), ("feat/feat_sin.npy", "feat/singles.txt"))
SEPARATOR = "|"  # of an image's labels in its row; names have spaces and commas


def read(request: Request) -> Reading:
    """Photos with upstream's split and their item labels. A photo in no split is rejected.

    Raises:
        StageError: a file is missing, is no plain array, or does not have the rows of photos.txt.
    """
    names = photo_names(need_list(request, EXPECTED, "photos.txt"))
    place, columns = next(
        ((path, names_of) for path, names_of in LABELS if (request.root / path).is_file()), (LABELS[0][0], "")
    )
    matrix = read_labels(need_list(request, EXPECTED, *(path for path, _ in LABELS)), len(names))
    labels = label_names(find_list(request.files, columns) if columns else None, matrix.shape[1], request)
    splits = read_splits(request, EXPECTED, len(names))
    images = list_images(request, EXPECTED, folders=("photos",))
    request.account.note("read from", {"images": images.folder, "labels": f"{place}, {matrix.shape[1]} labels"})
    reading = Reading()
    ledger = request.account.ledger("items")
    present, missing = Counter[str](), Counter[str]()
    named: set[str] = set()
    for index, name in enumerate(names):
        ledger.rows_in += 1
        key, status = f"photos.txt:{index + 1}", max(splits.get(index, [""]), key=held_out)
        image_id = images.find(name) if name else None
        if len(splits.get(index, [])) > 1:
            ledger.repair(key, "two_statuses", " and ".join(splits[index]))
        if image_id is None:
            missing[status or "no split"] += 1
            ledger.reject(key, images.match(name).reason if name else "malformed_row", name)
        elif image_id in named:
            ledger.reject(key, "duplicate_row", name)
        elif not status:
            named.add(image_id)
            ledger.reject(key, "no_annotation", "in no split")
            request.account.ledger("images").reject(f"{images.folder}/{image_id}", "no_annotation", "in no split")
        else:
            named.add(image_id)
            present[status] += 1
            worn = (label for label, has_label in zip(labels, matrix[index], strict=True) if has_label)
            reading.items.append(
                {"item_id": image_id, "image_id": image_id, "status": status, "labels": SEPARATOR.join(worn)}
            )
            reading.images.append(ImageFile(image_id, images.paths[image_id], status))
    reject_unnamed(request, images, named)
    status_counts(request, "partition", present, missing)
    return reading


def photo_names(path: Path) -> list[str]:
    """The first CSV field of each line; an empty name keeps its place, because lines are numbered.

    Raises:
        StageError: when a line is longer than any path.
    """
    lines = text_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    names = []
    for number, line in enumerate(lines, start=1):
        try:
            row = next(csv.reader([line]), [])
        except csv.Error as error:
            raise StageError(f"{path}, line {number}: {error}; expected one path a line. Download it again.") from None
        names.append(row[0].strip() if row else "")
    return names


def label_names(path: Path | None, count: int, request: Request) -> list[str]:
    """The names of ``count`` labels, numbered where no file has them.

    Raises:
        StageError: when the file has another number of names, or one twice.
    """
    if path is None:
        request.account.note("labels", {"names": f"none found; called label_00 to label_{count - 1:02d}"})
        return [f"label_{number:02d}" for number in range(count)]
    names = [line.strip().replace(SEPARATOR, "/") for line in text_lines(path) if line.strip()]
    if len(names) != count or len(set(names)) != count:
        twice = [name for name, times in Counter(names).items() if times > 1]
        raise StageError(
            f"{path}: {len(names)} names ({shown(twice) + ' twice' if twice else 'each once'}), but the labels have "
            f"{count} columns. Expected a name for each column; without this file labels are numbered."
        )
    return names
