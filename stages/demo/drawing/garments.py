"""Garments (kind, fit, color, fabric, pattern, the seed of the motif), and outfits of garments.

A Garment has everything that the drawing needs, so that an item looks the same worn and flat. Garments of one kind
share a GarmentKind.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stages.demo.drawing.palette import BRIGHT, RGB, contrasting, pick_name, shade_of


@dataclass(frozen=True)
class GarmentKind:
    """Common properties of the garments of a kind; ranges are in body units (see stages.demo.drawing.body).

    Attributes:
        family: silhouette function that draws it (torso, legs, skirt, shoe, cap).
        layer: upper, outer, lower, feet or head: the order of dressing.
        sleeves: choices of none, short, long, sling.
        necklines: choices of crew, v, scoop, square, turtle, collar.
        hem: lowest point, from and to; for legs in hundredths of a bone (200 reaches the ankle).
        ease: looseness, from and to.
        flare: difference of the widths of hem and hip, from and to.
        trims: details that every garment of the kind has.
        fabrics: usual fabrics of the kind.
    """

    family: str
    layer: str
    sleeves: tuple[str, ...] = ("none",)
    necklines: tuple[str, ...] = ("crew",)
    hem: tuple[int, int] = (0, 0)
    ease: tuple[int, int] = (0, 0)
    flare: tuple[int, int] = (0, 0)
    trims: tuple[str, ...] = ()
    fabrics: tuple[str, ...] = ("cotton",)


# A kind has several fabrics and a fabric several kinds, so that the outline does not reveal the fabric
# (stages.report.shortcut_check measures it).
_SOFT = ("cotton", "cotton", "denim", "knitted", "chiffon")
_WARM = ("cotton", "knitted", "furry")
_COAT = ("leather", "denim", "cotton", "furry")
_SHOE = ("leather", "cotton")

GARMENT_KINDS: dict[str, GarmentKind] = {
    "tshirt": GarmentKind("torso", "upper", ("short",), ("crew", "crew", "v"), (505, 545), (10, 22)),
    "tank": GarmentKind("torso", "upper", ("none",), ("scoop",), (490, 535), (4, 14), fabrics=_SOFT),
    "sling": GarmentKind("torso", "upper", ("sling",), ("square",), (440, 520), (4, 12), (0, 14), fabrics=_SOFT),
    "shirt": GarmentKind(
        "torso",
        "upper",
        ("long", "long", "short"),
        ("collar",),
        (525, 560),
        (10, 18),
        trims=("collar", "buttons"),
        fabrics=("cotton", "chiffon", "denim"),
    ),
    "blouse": GarmentKind(
        "torso",
        "upper",
        ("long", "short"),
        ("v", "square"),
        (490, 540),
        (12, 22),
        (4, 18),
        ("ruffle",),
        ("chiffon", "denim", "cotton"),
    ),
    "top": GarmentKind(
        "torso", "upper", ("short", "none"), ("scoop", "square"), (440, 500), (2, 12), (0, 16), fabrics=_SOFT
    ),
    "kurta": GarmentKind(
        "torso",
        "upper",
        ("long", "long", "short"),
        ("crew", "v"),
        (660, 730),
        (12, 20),
        (6, 20),
        ("placket",),
        ("cotton", "chiffon"),
    ),
    "sweater": GarmentKind(
        "torso",
        "upper",
        ("long",),
        ("crew", "v", "turtle"),
        (500, 535),
        (16, 28),
        trims=("ribs",),
        fabrics=("knitted", "chiffon", "cotton", "furry"),
    ),
    "sweatshirt": GarmentKind(
        "torso", "upper", ("long",), ("crew",), (505, 540), (20, 30), trims=("ribs", "pouch"), fabrics=_WARM
    ),
    "cardigan": GarmentKind(
        "torso",
        "outer",
        ("long",),
        ("v",),
        (530, 640),
        (18, 26),
        trims=("ribs", "buttons"),
        fabrics=("knitted", "chiffon", "cotton", "furry"),
    ),
    "jacket": GarmentKind(
        "torso", "outer", ("long",), ("collar",), (490, 540), (20, 30), trims=("zip", "ribs", "pockets"), fabrics=_COAT
    ),
    "coat": GarmentKind(
        "torso",
        "outer",
        ("long",),
        ("collar",),
        (640, 740),
        (20, 30),
        (8, 26),
        ("lapels", "pockets", "belt"),
        ("cotton", "furry", "leather"),
    ),
    "blazer": GarmentKind(
        "torso",
        "outer",
        ("long",),
        ("v",),
        (530, 570),
        (14, 22),
        trims=("lapels", "pockets"),
        fabrics=("cotton", "cotton", "knitted"),
    ),
    "short_jacket": GarmentKind(
        "torso",
        "outer",
        ("short",),
        ("collar",),
        (480, 540),
        (18, 28),
        trims=("collar", "zip"),
        fabrics=("cotton", "denim", "chiffon"),
    ),
    "jeans": GarmentKind("legs", "lower", hem=(185, 200), ease=(2, 10), trims=("fly", "seams"), fabrics=("denim",)),
    "trousers": GarmentKind(
        "legs",
        "lower",
        hem=(185, 200),
        ease=(6, 18),
        trims=("fly",),
        fabrics=("cotton", "chiffon", "leather", "knitted"),
    ),
    "track_pants": GarmentKind(
        "legs", "lower", hem=(180, 196), ease=(8, 16), trims=("drawstring", "cuffs"), fabrics=("cotton", "knitted")
    ),
    "leggings": GarmentKind("legs", "lower", hem=(170, 195), ease=(0, 1), fabrics=("knitted", "cotton", "leather")),
    "capris": GarmentKind("legs", "lower", hem=(125, 145), ease=(4, 10), trims=("fly",), fabrics=("cotton", "denim")),
    "shorts": GarmentKind(
        "legs", "lower", hem=(42, 88), ease=(8, 20), trims=("fly",), fabrics=("cotton", "denim", "leather")
    ),
    "skirt": GarmentKind(
        "skirt",
        "lower",
        hem=(620, 800),
        ease=(4, 10),
        flare=(0, 95),
        trims=("waistband",),
        fabrics=("cotton", "denim", "chiffon", "leather"),
    ),
    "dress": GarmentKind(
        "torso",
        "upper",
        ("none", "short", "long", "sling"),
        ("scoop", "v", "square"),
        (650, 860),
        (4, 12),
        (20, 110),
        ("waist",),
        ("cotton", "denim", "chiffon", "knitted"),
    ),
    "jumpsuit": GarmentKind(
        "torso",
        "upper",
        ("none", "short"),
        ("v", "square"),
        (520, 521),
        (4, 10),
        trims=("waist", "trouser legs"),
        fabrics=("cotton", "denim"),
    ),
    "cap": GarmentKind("cap", "head", fabrics=("cotton", "cotton", "denim", "leather")),
    "sneaker": GarmentKind("shoe", "feet", fabrics=_SHOE),
    "sports_shoe": GarmentKind("shoe", "feet", fabrics=("cotton", "knitted")),
    "soccer_shoe": GarmentKind("shoe", "feet", fabrics=_SHOE),
    "formal_shoe": GarmentKind("shoe", "feet", fabrics=("leather",)),
    "loafer": GarmentKind("shoe", "feet", fabrics=_SHOE),
    "boot": GarmentKind("shoe", "feet", fabrics=("leather", "leather", "cotton")),
    "heel": GarmentKind("shoe", "feet", fabrics=_SHOE),
    "flat": GarmentKind("shoe", "feet", fabrics=_SHOE),
    "sandal": GarmentKind("shoe", "feet", fabrics=("leather",)),
    "flip_flop": GarmentKind("shoe", "feet", fabrics=("cotton",)),
}


FABRICS = ("denim", "cotton", "leather", "furry", "knitted", "chiffon")
PATTERNS = ("pure color", "striped", "lattice", "floral", "graphic", "color block")
PATTERN_WEIGHTS = (46, 14, 12, 12, 8, 8)
# Kinds that people wear, by gender, so that the photos of all sources look alike.
LOWERS = {
    "Men": ("jeans", "trousers", "shorts", "track_pants"),
    "Women": ("jeans", "trousers", "shorts", "skirt", "leggings"),
}
UPPERS = {"Men": ("tshirt", "shirt", "sweater", "sweatshirt"), "Women": ("tshirt", "top", "blouse", "sweater", "shirt")}
SHOES = {
    "Men": ("sneaker", "sports_shoe", "formal_shoe", "boot"),
    "Women": ("sneaker", "heel", "flat", "boot", "sandal"),
}


@dataclass(frozen=True)
class Garment:
    """One item, as it looks in every photo of it.

    Attributes:
        kind: key of GARMENT_KINDS.
        gender: Men, Women, Boys, Girls or Unisex; sets the fit.
        color: a name of NAMED_COLORS.
        colors: the shade of that color, then the pattern's further colors.
        fabric, pattern, usage: names as the tables of labels spell them.
        seed: of the motif's and the folds' randomness.
        sleeve, neckline, hem, ease, flare: see GarmentKind.
        opened: an outer garment worn open.
    """

    kind: str
    gender: str
    color: str
    colors: tuple[RGB, ...]
    fabric: str
    pattern: str
    usage: str
    seed: int
    sleeve: str
    neckline: str
    hem: int
    ease: int
    flare: int
    opened: bool

    @property
    def traits(self) -> GarmentKind:
        """The kind's common properties."""
        return GARMENT_KINDS[self.kind]

    @property
    def rgb(self) -> RGB:
        """The main shade."""
        return self.colors[0]


def make_garment(
    rng: Random,
    kind: str,
    gender: str,
    *,
    color: str | None = None,
    fabric: str | None = None,
    pattern: str | None = None,
    usage: str = "Casual",
    sleeve: str | None = None,
) -> Garment:
    """A garment of a kind; attributes that are not given are random and independent of each other."""
    traits = GARMENT_KINDS[kind]
    color = color or pick_name(rng)
    fabric = fabric or rng.choice(traits.fabrics)
    pattern = pattern or _pick_pattern(rng, traits)
    if color == "Multi" and pattern in ("pure color", "graphic"):
        pattern = rng.choice(("striped", "floral", "color block"))  # a multicolored garment needs a pattern
    sleeve = sleeve or rng.choice(traits.sleeves)
    necklines = ("scoop",) if sleeve == "none" and kind == "tank" else traits.necklines
    hem = rng.randint(*traits.hem)
    if kind == "shorts":  # women's shorts are cut shorter
        hem = rng.randint(36, 58) if gender in ("Women", "Girls") else rng.randint(70, 96)
    return Garment(
        kind=kind,
        gender=gender,
        color=color,
        colors=_colors(rng, color),
        fabric=fabric,
        pattern=pattern,
        usage=usage,
        seed=rng.randrange(1 << 30),
        sleeve=sleeve,
        neckline="square" if sleeve == "sling" else rng.choice(necklines),
        hem=hem,
        ease=rng.randint(*traits.ease),
        flare=rng.randint(*traits.flare),
        opened=traits.layer == "outer" and rng.random() < 0.6,
    )


def companions(rng: Random, garment: Garment, gender: str) -> list[Garment]:
    """Other garments of the wearer of a garment, in random colors, so that the person is dressed."""
    layer, alone = garment.traits.layer, garment.kind in ("dress", "jumpsuit")
    chosen: list[Garment] = []
    if layer in ("upper", "outer", "head", "feet") and not alone:
        chosen.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    if layer in ("lower", "outer", "head", "feet"):
        chosen.append(make_garment(rng, rng.choice(UPPERS[gender]), gender))
    if layer != "feet" and rng.random() < 0.8:
        chosen.append(make_garment(rng, rng.choice(SHOES[gender]), gender))
    return chosen


def _pick_pattern(rng: Random, traits: GarmentKind) -> str:
    pattern = rng.choices(PATTERNS, weights=PATTERN_WEIGHTS)[0]
    if traits.family == "shoe" and rng.random() < 0.6:
        return "pure color"  # printed shoes are the exception
    if pattern == "graphic" and traits.family in ("legs", "skirt", "shoe"):
        return "pure color"  # a chest print needs a chest
    return pattern


def _colors(rng: Random, name: str) -> tuple[RGB, ...]:
    base = shade_of(rng, name)
    if name == "Multi":
        return tuple(rng.sample(BRIGHT, 4))
    second = contrasting(rng, base)
    third = contrasting(rng, second)
    return base, second, third
