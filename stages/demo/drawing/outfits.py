"""Which garments go together on a person, so that what is worn in the photos of all sources looks alike."""

from __future__ import annotations

from random import Random

from stages.demo.drawing.garments import Garment, make_garment

LOWERS = {
    "Men": ("jeans", "trousers", "shorts", "track_pants"),
    "Women": ("jeans", "trousers", "shorts", "skirt", "leggings"),
}
UPPERS = {"Men": ("tshirt", "shirt", "sweater", "sweatshirt"), "Women": ("tshirt", "top", "blouse", "sweater", "shirt")}
SHOES = {
    "Men": ("sneaker", "sports_shoe", "formal_shoe", "boot"),
    "Women": ("sneaker", "heel", "flat", "boot", "sandal"),
}


def companions(rng: Random, garment: Garment, gender: str) -> list[Garment]:
    """What else the wearer of a garment has on: enough to be dressed, in other colours drawn at random."""
    layer, alone = garment.cut.layer, garment.kind in ("dress", "jumpsuit")
    others: list[Garment] = []
    if layer in ("upper", "outer", "head", "feet") and not alone:
        others.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    if layer in ("lower", "outer", "head", "feet"):
        others.append(make_garment(rng, rng.choice(UPPERS[gender]), gender))
    if layer != "feet" and rng.random() < 0.8:
        others.append(make_garment(rng, rng.choice(SHOES[gender]), gender))
    return others
