"""The arrays of Fashion144k: labels and splits, from NumPy files without pickles, or MATLAB files."""

from pathlib import Path
from typing import Any

import numpy as np

from stages.core.errors import StageError, shown
from stages.ingest.readers.deepfashion_lists import find_list
from stages.ingest.reading import Request

IDS = {"train": "trainids", "val": "validids", "test": "testids"}  # our split -> upstream's name


def load_array(path: Path) -> np.ndarray:
    """A NumPy file's array.

    Raises:
        StageError: when it is none, or holds objects: loading those would run code.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise StageError(f"{path}: not a plain NumPy array ({error}). Download it again.") from None


def read_labels(path: Path, photos: int) -> np.ndarray:
    """bool [photos, labels].

    Raises:
        StageError: when the array has another shape, or values other than 0 and 1.
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

    Without validids or testids their photos are in no split, and the account says so.

    Raises:
        StageError: when there are no training ids, or an id that is no photo's.
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
        if outside := [int(one) for one in ids if not first <= one < photos + first]:
            raise StageError(
                f"{request.root}, {IDS[split]}: {shown(outside, 4)}; expected indices from {first} below "
                f"{photos + first}: photos.txt has {photos} lines. Download both again."
            )
        for one in np.unique(ids).tolist():
            result.setdefault(one - first, []).append(split)
    return result


def _first_index(arrays: dict[str, np.ndarray], photos: int) -> int:
    """1 where the ids can only count from 1: the last is the number of photos, and 0 is not among them."""
    every = np.concatenate([*arrays.values(), np.empty(0, np.int64)])
    return int(every.size > 0 and every.max() == photos and every.min() >= 1)


def _id_arrays(request: Request) -> dict[str, np.ndarray]:
    """Our split -> upstream's ids, int64 [n]."""
    matlab = find_list(request.root, "split.mat")
    content = _load_matlab(matlab) if matlab else {}
    arrays = {}
    for split, name in IDS.items():
        path = find_list(request.root, f"{name}.npy", f"feat/{name}.npy")
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
            "{train,valid,test}ids.npy beside it."
        ) from None
