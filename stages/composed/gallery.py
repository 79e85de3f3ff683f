"""The wardrobe in which garments of composed pictures are searched, and its answers against their truth."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.app.items import Match, QueryGarment
from stages.app.search import ANY, Filters
from stages.app.wardrobe import ProgressCallback, Wardrobe
from stages.composed.pictures import Pasted
from stages.composed.scores import Answer
from stages.contracts.tables import read_table
from stages.core.files import digest, fresh_folder
from stages.core.heads import HEADS

TRAINING, ORIGINALS = "training", "originals"  # folders of photos
HEAD = "type"
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Photos:
    """Photos of a gallery.

    Attributes:
        folder: with a folder for each set of ``TRAINING`` and ``ORIGINALS``.
        names: file -> source:image_id.
        labels: photo of ``TRAINING`` -> head -> class of its garment, of the heads that are known.
    """

    folder: Path
    names: Mapping[Path, str]
    labels: Mapping[str, Labels]

    def commonest(self) -> Labels:
        """Head -> its commonest class among the training photos; the first of equal ones in the alphabet."""
        counts: dict[str, Counter[str]] = {}
        for labels in self.labels.values():
            for head, name in labels.items():
                counts.setdefault(head, Counter())[name] += 1
        return {head: min(own.items(), key=lambda pair: (-pair[1], pair[0]))[0] for head, own in counts.items()}


def training_labels(data: Path, source: str) -> dict[str, Labels]:
    """image_id -> head -> class of the known heads, of the labeled training photos of a source."""
    rows = read_table(data / "dataset" / "items.parquet", columns=["source", "split", "image_id", *HEADS]).to_pylist()
    return {
        row["image_id"]: {head: row[head] for head in HEADS if row[head] is not None}
        for row in rows
        if row["source"] == source and row["split"] == "train"
    }


def write_photos(
    folder: Path,
    training: Mapping[str, Labels],
    originals: Iterable[str],
    photos: Callable[[str, Mapping[str, Any]], Iterable[tuple[str, bytes]]],
) -> Photos:
    """Write the photos of a gallery as files, which a wardrobe reads as it reads any folder.

    Args:
        folder: is made anew.
        training: photo -> head -> class.
        originals: photos that composed garments are from.
        photos: source, wanted image ids -> the encoded photo of each.
    """
    folder, names = fresh_folder(folder), {}
    for kind, wanted in ((TRAINING, training), (ORIGINALS, dict.fromkeys(originals))):
        (folder / kind).mkdir()
        by_source: dict[str, dict[str, None]] = {}
        for photo in wanted:
            source, _, image_id = photo.partition(":")
            by_source.setdefault(source, {})[image_id] = None
        for source, ids in sorted(by_source.items()):
            for image_id, content in photos(source, ids):
                photo = f"{source}:{image_id}"
                path = (folder / kind / f"{digest(photo)[:20]}.jpg").absolute()  # ids may be paths
                path.write_bytes(content)
                names[path] = photo
    return Photos(folder, names, dict(training))


class Gallery:
    """Answers of a wardrobe for garments whose truth is known."""

    def __init__(self, wardrobe: Wardrobe, photos: Photos, progress: ProgressCallback | None = None) -> None:
        """Take the photos into the wardrobe, unless it has them; ``progress``: see ``Wardrobe.add``."""
        self.wardrobe, self.photos = wardrobe, photos
        wardrobe.add([photos.folder], progress)
        self._commonest = photos.commonest()
        self._training = Filters(within=(photos.folder / TRAINING,))
        self._of_bytes = {hashlib.sha256(path.read_bytes()).hexdigest(): name for path, name in photos.names.items()}

    def competing(self, garment: QueryGarment) -> set[str]:
        """The photos among which the wardrobe searches for a garment."""
        catalog = self.wardrobe.catalog()
        at = catalog.competing(garment.superclass, ANY, any_class=False, without="")
        return {self._of_bytes[sha] for sha in set(catalog.photo[at])}

    def _names(self, matches: list[Match]) -> set[str]:
        """The photo of the first match; several names where photos have the same bytes."""
        return {self.photos.names[path] for match in matches[:1] for path in match.item.paths}

    def answer(self, garment: QueryGarment, truth: Pasted) -> Answer:
        """The answer for a garment.

        Args:
            garment: what the models see of it.
            truth: what it is.
        """
        own_type, types = truth.labels.get(HEAD), self.photos.labels
        first = self._names(self.wardrobe.matches(garment, 1))
        near = self._names(self.wardrobe.matches(garment, 1, self._training))
        freely = self._names(self.wardrobe.matches(garment, 1, any_class=True))
        rivals = self.competing(garment)
        typed = [types[photo].get(HEAD) for photo in rivals if photo in types]
        known = {head: name for head, name in truth.labels.items() if head in garment.attributes}
        return Answer(
            superclass_right=garment.superclass == truth.superclass,
            labels_right=sum(garment.attributes[head].name == name for head, name in known.items()),
            labels_known=len(known),
            labels_majority=sum(self._commonest.get(head) == name for head, name in known.items()),
            right_first=truth.photo in first,
            right_first_any_class=truth.photo in freely,
            same_type_first=own_type is not None and any(types.get(photo, {}).get(HEAD) == own_type for photo in near),
            right_chance=1 / len(rivals) if truth.photo in rivals else 0.0,
            same_type_chance=sum(name == own_type for name in typed) / len(typed) if typed and own_type else 0.0,
        )
