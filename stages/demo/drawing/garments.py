"""What a garment is: its kind and cut, colour, fabric, pattern and the seed of its motif.

A Garment is everything that the drawing needs, so that the same item looks the same worn and flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stages.demo.drawing.garment_kinds import CUTS, Cut
from stages.demo.drawing.palette import BRIGHT, RGB, contrasting, pick_name, shade_of

FABRICS = ("denim", "cotton", "leather", "furry", "knitted", "chiffon")
PATTERNS = ("pure color", "striped", "lattice", "floral", "graphic", "color block")
PATTERN_WEIGHTS = (46, 14, 12, 12, 8, 8)


@dataclass(frozen=True)
class Garment:
    """One item, as it looks in every photo of it.

    Attributes:
        kind: key of CUTS.
        gender: Men, Women, Boys, Girls or Unisex; sets the cut.
        colour: upstream's baseColour name.
        colours: the shade of that colour, then the pattern's further colours.
        fabric, pattern, usage: names as upstream's labels spell them.
        seed: of the motif's and the folds' randomness.
        sleeve, neckline, hem, ease, flare: see Cut.
        opened: an outer garment worn open.
    """

    kind: str
    gender: str
    colour: str
    colours: tuple[RGB, ...]
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
    def cut(self) -> Cut:
        """The kind's common properties."""
        return CUTS[self.kind]

    @property
    def rgb(self) -> RGB:
        """The main shade."""
        return self.colours[0]


def make_garment(
    rng: Random,
    kind: str,
    gender: str,
    *,
    colour: str | None = None,
    fabric: str | None = None,
    pattern: str | None = None,
    usage: str = "Casual",
    sleeve: str | None = None,
) -> Garment:
    """A garment of a kind; what is not asked for is drawn at random, each attribute on its own."""
    cut = CUTS[kind]
    colour = colour or pick_name(rng)
    fabric = fabric or rng.choice(cut.fabrics)
    pattern = pattern or _pick_pattern(rng, cut)
    if colour == "Multi" and pattern in ("pure color", "graphic"):
        pattern = rng.choice(("striped", "floral", "color block"))  # one plain colour would not be multi
    sleeve = sleeve or rng.choice(cut.sleeves)
    necklines = ("scoop",) if sleeve == "none" and kind == "tank" else cut.necklines
    hem = rng.randint(*cut.hem)
    if kind == "shorts":  # women's shorts are cut shorter
        hem = rng.randint(36, 58) if gender in ("Women", "Girls") else rng.randint(70, 96)
    return Garment(
        kind=kind,
        gender=gender,
        colour=colour,
        colours=_colours(rng, colour),
        fabric=fabric,
        pattern=pattern,
        usage=usage,
        seed=rng.randrange(1 << 30),
        sleeve=sleeve,
        neckline="square" if sleeve == "sling" else rng.choice(necklines),
        hem=hem,
        ease=rng.randint(*cut.ease),
        flare=rng.randint(*cut.flare),
        opened=cut.layer == "outer" and rng.random() < 0.6,
    )


def _pick_pattern(rng: Random, cut: Cut) -> str:
    pattern = rng.choices(PATTERNS, weights=PATTERN_WEIGHTS)[0]
    if cut.family == "shoe" and rng.random() < 0.6:
        return "pure color"  # printed shoes are the exception
    if pattern == "graphic" and cut.family in ("legs", "skirt", "shoe"):
        return "pure color"  # a chest print needs a chest
    return pattern


def _colours(rng: Random, name: str) -> tuple[RGB, ...]:
    base = shade_of(rng, name)
    if name == "Multi":
        return tuple(rng.sample(BRIGHT, 4))
    second = contrasting(rng, base)
    third = contrasting(rng, second)
    return base, second, third
