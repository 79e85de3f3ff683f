"""What a garment is (kind, cut, color, fabric, pattern, the seed of its motif), and which garments go together.

A Garment is everything that the drawing needs, so that the same item looks the same worn and flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stages.demo.drawing.garment_kinds import GARMENT_KINDS, GarmentKind
from stages.demo.drawing.palette import BRIGHT, RGB, contrasting, pick_name, shade_of

FABRICS = ("denim", "cotton", "leather", "furry", "knitted", "chiffon")
PATTERNS = ("pure color", "striped", "lattice", "floral", "graphic", "color block")
PATTERN_WEIGHTS = (46, 14, 12, 12, 8, 8)
# What people wear, by gender, so that the photos of all sources look alike.
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
        gender: Men, Women, Boys, Girls or Unisex; sets the cut.
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
    """A garment of a kind; what is not asked for is drawn at random, each attribute on its own."""
    traits = GARMENT_KINDS[kind]
    color = color or pick_name(rng)
    fabric = fabric or rng.choice(traits.fabrics)
    pattern = pattern or _pick_pattern(rng, traits)
    if color == "Multi" and pattern in ("pure color", "graphic"):
        pattern = rng.choice(("striped", "floral", "color block"))  # one plain color would not be multi
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
    """What else the wearer of a garment has on: enough to be dressed, in other colors drawn at random."""
    layer, alone = garment.traits.layer, garment.kind in ("dress", "jumpsuit")
    others: list[Garment] = []
    if layer in ("upper", "outer", "head", "feet") and not alone:
        others.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    if layer in ("lower", "outer", "head", "feet"):
        others.append(make_garment(rng, rng.choice(UPPERS[gender]), gender))
    if layer != "feet" and rng.random() < 0.8:
        others.append(make_garment(rng, rng.choice(SHOES[gender]), gender))
    return others


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
