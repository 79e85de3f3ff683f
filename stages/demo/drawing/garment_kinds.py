"""The kinds of garment that the demo can draw, and what the garments of a kind have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GarmentKind:
    """What the garments of a kind have in common; ranges are in body units (see stages.demo.drawing.body).

    Attributes:
        family: which silhouette function draws it (torso, legs, skirt, shoe, cap).
        layer: upper, outer, lower, feet or head: the order of dressing.
        sleeves: choices of none, short, long, sling.
        necklines: choices of crew, v, scoop, square, turtle, collar.
        hem: lowest point, from and to; for legs in hundredths of a bone (200 reaches the ankle).
        ease: looseness, from and to.
        flare: how much the hem is wider than the hip, from and to.
        trims: details that every garment of the kind has.
        fabrics: what the kind is usually made of.
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


# A kind comes in several fabrics and a fabric in several kinds, so that an outline does not give the fabric away
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
