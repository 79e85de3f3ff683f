"""A folder for each class, as image classifiers take it: ``<class>/*.jpg``, or ``train|val|test/<class>/*.jpg``.

The folder's name is the label. Folders train, val and test become the splits. Without test, val becomes test and a
share of train becomes val. Without any of them, a hash of the image's id splits.
"""

import re
from pathlib import Path

from stages.core.errors import StageError, shown
from stages.core.names import plain
from stages.ingest.files import COMPANION_FOLDERS
from stages.ingest.reading import ImageFile, Reading, Request, require_folder, upstream_image

# Name of a folder -> the split that it stands for.
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
# Word in a table or a list -> the split that it stands for.
SPLIT_WORDS = SPLIT_FOLDERS | {
    "dev": "val", "development": "val", "eval": "val", "evaluation": "val", "holdout": "test"
}  # fmt: skip
EXPECTED = "<class>/*.jpg, or train, val and test with such folders in them"


def split_word(text: str) -> str | None:
    """The split that a word of a table means, such as ``Train set``; None if it means no split."""
    word = re.sub("[^a-z]", "", text.casefold())
    return next((SPLIT_WORDS[form] for form in (word, word.removesuffix("set")) if form in SPLIT_WORDS), None)


def split_folders(root: Path) -> dict[str, Path]:
    """Split -> its folder; empty without train and a second split.

    A folder without class folders is no split: competitions have such a folder of unlabeled photos.
    """
    folders = (path for path in subfolders(root) if path.name.lower() in SPLIT_FOLDERS)
    by_split = {SPLIT_FOLDERS[path.name.lower()]: path for path in folders if subfolders(path)}
    return by_split if "train" in by_split and len(by_split) > 1 else {}


def subfolders(root: Path) -> list[Path]:
    """Folders in a folder, sorted, without hidden ones and those that tools leave behind."""
    folders = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if path.name.lower() not in COMPANION_FOLDERS)


def read(request: Request) -> Reading:
    """Images and their labels; an image's id is its class and name, because names repeat across classes.

    Raises:
        StageError: when there is no folder of images.
    """
    root = require_folder(request.root, request.source, EXPECTED)
    splits = split_folders(root)
    reading = Reading()
    for split, folder in splits.items() or (("", root),):
        for place in subfolders(folder):
            _read_class(place, split, request, reading, own_test="test" in splits and "val" in splits)
    if not reading.images:
        raise StageError(f"{root}: no images in its folders {shown(path.name for path in subfolders(root))}. "
                         f"Expected {EXPECTED}.")  # fmt: skip
    return reading


def _read_class(place: Path, split: str, request: Request, reading: Reading, own_test: bool) -> None:
    ledger, items = request.account.ledger("images"), request.account.ledger("items")
    images = request.files.images(place)
    label = plain(place.name)
    for key, file in images.paths.items():
        ledger.rows_in += 1
        items.rows_in += 1
        image_id = "/".join(segment for segment in (split, label, key) if segment)
        if not split or own_test:
            reading.images.append(ImageFile(image_id, file, split))
        else:
            upstream = "train" if split == "train" else "test"
            reading.images.append(upstream_image(image_id, file, upstream, image_id, request.params.val_share))
        folder = plain(file.parent.name) if request.params.deepest_folder else label
        reading.items.append({"item_id": image_id, "image_id": image_id, "label": folder})
    images.reject_rest(ledger, images.paths, place.relative_to(request.root).as_posix() + "/")
