"""Compose pictures of garments: outfits laid out apart or overlapping, flat lays, and grounds without a garment.

The truth is exact, because it is drawn from the pasted pixels: a garment's box is around its solid pixels that no later
garment hides. The same material and seed give the same pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from stages.composed.cutouts import SOLID, Cutout, IntBox, Material, solid_box
from stages.composed.grounds import GROUND_KINDS, Size, ground
from stages.core.errors import StageError

Slot = tuple[float, float, float, float]  # x1, y1, x2, y2: where a garment goes, as shares of the picture's sides

APART, OVERLAPPING, FLAT_LAY, NONE = "apart", "overlapping", "flat_lay", "none"
COUNTS = {APART: 30, OVERLAPPING: 30, FLAT_LAY: 60, NONE: 40}  # kind -> pictures
PORTRAIT, LANDSCAPE = (480, 640), (640, 480)  # like the photos of clothing-dataset
_UPPER, _LOWER = (0.14, 0.04, 0.86, 0.48), (0.2, 0.52, 0.8, 0.97)
_UPPER_LEFT, _LOWER_LEFT, _LOWER_RIGHT = (0.04, 0.04, 0.62, 0.48), (0.06, 0.52, 0.58, 0.97), (0.63, 0.62, 0.97, 0.95)
OUTFITS: tuple[Mapping[str, Slot], ...] = (
    {"top": _UPPER, "bottom": _LOWER},
    {"top": _UPPER_LEFT, "bottom": _LOWER_LEFT, "footwear": _LOWER_RIGHT},
    {"dress": (0.05, 0.05, 0.61, 0.95), "footwear": (0.65, 0.6, 0.97, 0.93)},
    {"headwear": (0.66, 0.06, 0.96, 0.28), "top": _UPPER_LEFT, "bottom": _LOWER_LEFT, "footwear": _LOWER_RIGHT},
    {"outwear": _UPPER, "bottom": _LOWER},
    {"outwear": _UPPER_LEFT, "bottom": _LOWER_LEFT, "footwear": _LOWER_RIGHT},
    {"dress": (0.04, 0.05, 0.5, 0.95), "outwear": (0.53, 0.05, 0.97, 0.6)},
    {"outwear": (0.04, 0.04, 0.49, 0.5), "top": (0.52, 0.04, 0.97, 0.46), "bottom": (0.06, 0.54, 0.52, 0.97),
     "footwear": (0.57, 0.62, 0.95, 0.93)},
)  # fmt: skip
# Garments of a flat lay -> size of the picture and where they lie.
FLAT: tuple[tuple[Size, tuple[Slot, ...]], ...] = (
    (PORTRAIT, ((0.12, 0.1, 0.88, 0.9),)),
    (LANDSCAPE, ((0.04, 0.08, 0.48, 0.92), (0.52, 0.08, 0.96, 0.92))),
    (PORTRAIT, ((0.04, 0.05, 0.52, 0.5), (0.56, 0.05, 0.96, 0.5), (0.15, 0.55, 0.85, 0.95))),
)
SHRUNK = 0.85  # a garment takes at least this share of its slot's sides
TILT = (4.0, 25.0)  # degrees by which garments of a flat lay are turned, to either side
MOST_ENLARGED = 2.0  # a garment of few pixels does not fill its slot
# For garments to overlap, slots grow by a factor, and garments move toward the picture's center: by how much is sought
# in so many halvings of what may do.
GROWTH, HALVINGS = (1.7, 1.5, 1.3, 1.1), 8
LEAST_HIDDEN, MOST_HIDDEN = 0.02, 0.2  # share of its pixels that the most hidden garment loses
TRIES = 50  # outfits that are drawn for a picture whose garments overlap, as these shares may not be met
SHADOW = (0.15, 0.4)  # of the light that a garment's shadow takes
SHADOW_BLUR, SHADOW_SHIFT = (2.0, 6.0), (1, 7)  # pixels


@dataclass(frozen=True)
class Piece:
    """A garment at its size and place in a picture.

    Attributes:
        cutout: where it is from.
        pixels: uint8 [h, w, 3].
        alpha: uint8 [h, w].
        left, top: place of its first pixel in the picture; it may be outside where it is transparent.
    """

    cutout: Cutout
    pixels: np.ndarray
    alpha: np.ndarray
    left: int
    top: int

    def on(self, size: Size) -> np.ndarray:
        """Its opacity as uint8 [height, width] of a whole picture."""
        result = np.zeros((size[1], size[0]), np.uint8)
        (rows, columns), (own_rows, own_columns) = self.spans(size)
        result[rows, columns] = self.alpha[own_rows, own_columns]
        return result

    def spans(self, size: Size) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of the picture that it covers, and the same of its own pixels."""
        height, width = self.alpha.shape
        x1, y1 = max(0, self.left), max(0, self.top)
        x2, y2 = max(x1, min(size[0], self.left + width)), max(y1, min(size[1], self.top + height))
        place = slice(y1, y2), slice(x1, x2)
        return place, (slice(y1 - self.top, y2 - self.top), slice(x1 - self.left, x2 - self.left))


@dataclass(frozen=True)
class Pasted:
    """The truth of a garment in a picture.

    Attributes:
        photo: source:image_id of its original.
        superclass: of its label.
        labels: head -> class, of the heads that its label knows.
        box: around its visible pixels.
        hidden: share of its pixels below other garments.
    """

    photo: str
    superclass: str
    labels: Mapping[str, str]
    box: IntBox
    hidden: float


@dataclass(frozen=True)
class Picture:
    """A composed picture, RGB, and its garments; the last one lies on top."""

    name: str
    kind: str
    image: Image.Image
    garments: tuple[Pasted, ...]


class Deck:
    """Cutouts in a random order, dealt again from the first when all were dealt, so that all are used equally often."""

    def __init__(self, cutouts: Sequence[Cutout], rng: np.random.Generator) -> None:
        """Shuffle the cutouts, of which there is at least one."""
        self._cards = [cutouts[int(at)] for at in rng.permutation(len(cutouts))]
        self._dealt = 0

    def __len__(self) -> int:
        return len(self._cards)

    def deal(self) -> Cutout:
        """The next cutout."""
        self._dealt += 1
        return self._cards[(self._dealt - 1) % len(self._cards)]


def visible_truth(solid: Sequence[np.ndarray]) -> list[tuple[IntBox | None, float]]:
    """The box around the visible pixels of each garment, and the share of its pixels that is hidden.

    Args:
        solid: bool [height, width] of each garment, in the order in which they are pasted.

    Returns:
        a pair for each; no box and 1.0 for a garment of which nothing is visible.
    """
    result: list[tuple[IntBox | None, float]] = []
    above = np.zeros_like(solid[0]) if solid else np.zeros((0, 0), bool)
    for own in reversed(solid):
        visible = own & ~above
        share = 1.0 - visible.sum() / own.sum() if own.any() else 1.0
        result.append((solid_box(visible * np.uint8(255)), float(share)))
        above = above | own
    return result[::-1]


def fitted(cutout: Cutout, slot: Slot, size: Size, angle: float = 0.0) -> Piece:
    """A garment turned by an angle (degrees, counterclockwise) and scaled until its solid box fits its slot, centered.

    Raises:
        StageError: no pixel of the garment is solid.
    """
    image, alpha = cutout.image, cutout.alpha
    if angle:
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        alpha = alpha.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    box = solid_box(np.asarray(alpha))
    if box is None:
        raise StageError(f"{cutout.photo}: its mask has no solid pixel; expected a garment. Leave the photo out.")
    x1, y1, x2, y2 = slot[0] * size[0], slot[1] * size[1], slot[2] * size[0], slot[3] * size[1]
    scale = min((x2 - x1) / (box[2] - box[0]), (y2 - y1) / (box[3] - box[1]), MOST_ENLARGED)
    scaled = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if scaled != image.size:
        image = image.resize(scaled, Image.Resampling.BICUBIC)
        alpha = alpha.resize(scaled, Image.Resampling.BILINEAR)
    inner = solid_box(np.asarray(alpha)) or (0, 0, *scaled)
    left, top = round((x1 + x2 - inner[0] - inner[2]) / 2), round((y1 + y2 - inner[1] - inner[3]) / 2)
    return Piece(cutout, np.asarray(image), np.asarray(alpha), left, top)


def truth_of(pieces: Sequence[Piece], size: Size) -> tuple[Pasted, ...] | None:
    """The truth of pasted pieces; None if nothing of one of them is visible."""
    seen = visible_truth([piece.on(size) >= SOLID for piece in pieces])
    result = []
    for piece, (box, hidden) in zip(pieces, seen, strict=True):
        if box is None:
            return None
        cutout = piece.cutout
        result.append(Pasted(cutout.photo, cutout.superclass, cutout.labels, box, hidden))
    return tuple(result)


def pasted(base: Image.Image, pieces: Sequence[Piece], rng: np.random.Generator) -> Image.Image:
    """A ground with pieces on it, each with a soft shadow; light comes from one side for all of them."""
    canvas = np.asarray(base, np.float32)
    depth, blur = rng.uniform(*SHADOW), rng.uniform(*SHADOW_BLUR)
    down, across = (int(step) for step in rng.integers(SHADOW_SHIFT[0], SHADOW_SHIFT[1], 2, endpoint=True))
    for piece in pieces:
        opaque = piece.on(base.size).astype(np.float32) / 255
        shade = ndimage.gaussian_filter(np.pad(opaque, ((down, 0), (across, 0)))[: len(opaque), : base.width], blur)
        canvas = canvas * (1 - depth * shade)[:, :, None]
        (rows, columns), (own_rows, own_columns) = piece.spans(base.size)
        own, weight = piece.pixels[own_rows, own_columns], opaque[rows, columns, None]
        canvas[rows, columns] = canvas[rows, columns] * (1 - weight) + own * weight
    return Image.fromarray(np.clip(np.round(canvas), 0, 255).astype(np.uint8))


def shaken(slot: Slot, rng: np.random.Generator) -> Slot:
    """A slot somewhat smaller, at a random place inside of the slot."""
    x1, y1, x2, y2 = slot
    share = rng.uniform(SHRUNK, 1)
    width, height = (x2 - x1) * share, (y2 - y1) * share
    left, top = x1 + rng.uniform(0, 1) * (x2 - x1 - width), y1 + rng.uniform(0, 1) * (y2 - y1 - height)
    return left, top, left + width, top + height


def grown(slot: Slot, factor: float) -> Slot:
    """A slot larger by a factor about its center, as far as the picture goes."""
    x, y = (slot[0] + slot[2]) / 2, (slot[1] + slot[3]) / 2
    half_width, half_height = (slot[2] - slot[0]) / 2 * factor, (slot[3] - slot[1]) / 2 * factor
    return max(0.01, x - half_width), max(0.01, y - half_height), min(0.99, x + half_width), min(0.99, y + half_height)


def mirrored(slot: Slot) -> Slot:
    """The slot on the other side of the picture."""
    return 1 - slot[2], slot[1], 1 - slot[0], slot[3]


def most_hidden(solid: Sequence[np.ndarray]) -> float:
    """The share of its pixels that the most hidden garment loses; see ``visible_truth``."""
    return max((hidden for _, hidden in visible_truth(solid)), default=0.0)


def pulled(piece: Piece, share: float, size: Size) -> Piece:
    """A piece moved to the center of a picture, by a share of the way there."""
    height, width = piece.alpha.shape
    across, down = size[0] / 2 - (piece.left + width / 2), size[1] / 2 - (piece.top + height / 2)
    return replace(piece, left=piece.left + round(share * across), top=piece.top + round(share * down))


def overlapping(cutouts: Sequence[Cutout], slots: Sequence[Slot], size: Size) -> list[Piece] | None:
    """Garments that overlap mildly, as large and as far apart as that allows; None if nothing tried gives that."""
    for factor in GROWTH:
        pieces = [fitted(cutout, grown(slot, factor), size) for cutout, slot in zip(cutouts, slots, strict=True)]
        least, most, share = 0.0, 1.0, 0.0
        for _ in range(HALVINGS):
            moved = [pulled(piece, share, size) for piece in pieces]
            hidden = most_hidden([piece.on(size) >= SOLID for piece in moved])
            if LEAST_HIDDEN <= hidden <= MOST_HIDDEN:
                return moved
            least, most = (share, most) if hidden < LEAST_HIDDEN else (least, share)
            share = (least + most) / 2
    return None


class Composer:
    """Composes pictures of a kind, one after the other; each has a generator of its own, of seed, kind and number."""

    def __init__(self, material: Material, seed: int) -> None:
        """Sort the cutouts by superclass and shuffle them.

        Raises:
            StageError: the cutouts have too few superclasses for an outfit.
        """
        self.material, self.seed = material, seed
        rng = np.random.default_rng(seed)
        self.all = Deck(material.cutouts, rng)
        names = sorted({cutout.superclass for cutout in material.cutouts})
        self.decks = {
            name: Deck([cutout for cutout in material.cutouts if cutout.superclass == name], rng) for name in names
        }
        self.outfits = [outfit for outfit in OUTFITS if set(outfit) <= set(self.decks)]
        if not self.outfits:
            raise StageError(
                f"held-out photos with a sure mask show {', '.join(names)} alone; expected the classes of an outfit, "
                "such as top and bottom. Give the source photos of them."
            )

    def outfit(self, number: int, rng: np.random.Generator) -> tuple[list[Cutout], list[Slot]]:
        """Garments of different classes and their slots, in the order in which they are pasted."""
        slots = self.outfits[number % len(self.outfits)]
        names = [list(slots)[int(at)] for at in rng.permutation(len(slots))]
        turned = rng.random() < 0.5
        places = [mirrored(slots[name]) if turned else slots[name] for name in names]
        return [self.decks[name].deal() for name in names], places

    def pieces(self, kind: str, number: int, rng: np.random.Generator) -> tuple[Size, list[Piece]]:
        """Size of a picture, and its garments in their places.

        Raises:
            StageError: of many outfits none overlaps mildly.
        """
        if kind == NONE:
            return PORTRAIT, []
        if kind == FLAT_LAY:
            size, lying = FLAT[number % len(FLAT)]
            result = []
            for slot in lying[: len(self.all)]:
                angle = float(rng.uniform(*TILT) * rng.choice((-1, 1)))
                result.append(fitted(self.all.deal(), shaken(slot, rng), size, angle))
            return size, result
        for attempt in range(TRIES):
            cutouts, slots = self.outfit(number + attempt, rng)
            places = [shaken(slot, rng) for slot in slots]
            if kind == APART:
                return PORTRAIT, [fitted(cutout, slot, PORTRAIT) for cutout, slot in zip(cutouts, places, strict=True)]
            if pieces := overlapping(cutouts, places, PORTRAIT):
                return PORTRAIT, pieces
        raise StageError(f"none of {TRIES} outfits overlaps mildly: the masks of the garments are too small.")

    def picture(self, kind: str, number: int) -> Picture:
        """The picture of a kind with a number."""
        rng = np.random.default_rng([self.seed, list(COUNTS).index(kind), number])
        size, pieces = self.pieces(kind, number, rng)
        base = ground(GROUND_KINDS[int(rng.integers(len(GROUND_KINDS)))], size, self.material.strips, rng)
        truth = truth_of(pieces, size)
        assert truth is not None  # slots of other kinds than OVERLAPPING are disjoint
        return Picture(f"{kind}-{number:03d}", kind, pasted(base, pieces, rng) if pieces else base, truth)


def compose(material: Material, seed: int, counts: Mapping[str, int] = COUNTS) -> Iterator[Picture]:
    """Pictures of each kind, in the order of ``counts``.

    Raises:
        StageError: as ``Composer``.
    """
    composer = Composer(material, seed)
    for kind, count in counts.items():
        for number in range(count):
            yield composer.picture(kind, number)
