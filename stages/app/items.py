"""Records of garments: those of a query photo, those that the wardrobe holds, and the matches between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.app.garments import Box
from stages.core.names import plain
from stages.crops.matching import NO_DETECTOR


@dataclass(frozen=True)
class Attribute:
    """One attribute of a garment.

    Attributes:
        name: the most probable class of the head.
        confidence: its calibrated probability.
        sure: whether that is at least params ``app.unsure_below``.
    """

    name: str
    confidence: float
    sure: bool

    def text(self) -> str:
        """``Blue 91 %``; ``not sure (Blue 41 %)``."""
        text = f"{self.name} {self.confidence:.0%}"
        return text if self.sure else f"not sure ({text})"


@dataclass(frozen=True)
class QueryGarment:
    """A garment of a query photo.

    Attributes:
        superclass: "none" if nothing was detected; the garment is the whole photo then.
        confidence: the detector's; None if the garment is the whole photo, or if a person corrected it.
        box: None if the garment is the whole photo.
        attributes: by head.
        crop: JPEG.
        vector: float32 [d], of length 1 where vectors are compared by cosine.
        probabilities: float32 [classes of all heads], calibrated, in the order of ``Models.heads``.
    """

    superclass: str
    confidence: float | None
    box: Box | None
    attributes: dict[str, Attribute]
    crop: bytes
    vector: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class QueryPhoto:
    """A photo to search with: SHA-256 of its bytes, its upright size in pixels, and its garments, most confident first.

    ``garments`` has at least one: the whole photo if nothing was detected.
    """

    sha256: str
    width: int
    height: int
    garments: list[QueryGarment]


@dataclass(frozen=True)
class Item:
    """A garment of the wardrobe.

    Attributes:
        id: hash of the photo's bytes and number of the garment; it stays the same while bytes and models do.
        paths: the files with these bytes, sorted.
        width, height: of the upright photo in pixels.
    """

    id: str
    paths: tuple[Path, ...]
    superclass: str
    confidence: float | None
    box: Box | None
    width: int
    height: int
    attributes: dict[str, Attribute]

    @property
    def photo(self) -> Path:
        """The first of its files."""
        return self.paths[0]


@dataclass(frozen=True)
class Match:
    """A garment of the wardrobe that matches a garment of the query photo.

    Attributes:
        similarity: cosine of the two vectors.
        why: in the list of different ideas, ``ALL_IN_ALL`` or the head by which it is near; otherwise empty.
        recall: of a search by an index: the share of the nearest garments that such a search finds, as measured when
            the index was built; None: all garments were compared.
    """

    item: Item
    similarity: float
    why: str = ""
    recall: float | None = None


def named_attributes(
    probabilities: np.ndarray, heads: Mapping[str, Sequence[str]], unsure_below: float
) -> dict[str, Attribute]:
    """The attributes from probabilities [classes of all heads]: the most probable class of each head."""
    result, start = {}, 0
    for head, names in heads.items():
        own = probabilities[start : start + len(names)]
        best, start = int(own.argmax()), start + len(names)
        result[head] = Attribute(names[best], float(own[best]), bool(own[best] >= unsure_below))
    return result


def describe(attributes: Mapping[str, Attribute]) -> str:
    """``color Blue 91 %, type not sure (Tops 41 %)``."""
    return ", ".join(f"{head} {attribute.text()}" for head, attribute in attributes.items())


def where(superclass: str, box: Box | None) -> str:
    """The place of a garment in its photo as text: ``top at (1, 2, 3, 4)``; ``whole photo``."""
    if box is not None:
        return f"{superclass} at {box}"
    return "whole photo" if superclass == NO_DETECTOR else f"{superclass}, whole photo"


def shown_path(path: Path | str) -> str:
    r"""A path on one line, whatever its name holds: a line break as ``\n``, bytes outside UTF-8 as ``\xe9``."""
    text = plain(str(path))
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def box_json(box: Box | None) -> list[int] | None:
    """A box as JSON."""
    return None if box is None else list(box)


def attributes_json(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """Attributes as JSON: head -> name, confidence, sure."""
    return {
        head: {"name": attribute.name, "confidence": round(attribute.confidence, 4), "sure": attribute.sure}
        for head, attribute in attributes.items()
    }
