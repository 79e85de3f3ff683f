"""The ground truth of the demo: the garments that each image file shows, independently of its annotation.

Writes: TRUTH/garments.parquet, a row for each garment with a visible pixel, including companions.

No stage reads it. The maps below are written by hand from docs/methods.md, because a truth made from the pipeline's
tables would agree with a wrong table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.contracts.tables import write_rows
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.photo import Photo

FILE = "garments.parquet"
TRUTH = pa.schema(
    [
        ("image_id", pa.string()),  # as ingest names the image
        ("item", pa.string()),  # item_id or object_id of the garment's annotation; null: it has none
        ("instance", pa.string()),  # the physical garment: the same value in every photo of it in this source
        ("person", pa.string()),  # who wears it; null when flat
        ("view", pa.string()),  # front, side, back, full, additional, flat
        ("worn", pa.bool_()),
        ("kind", pa.string()),  # key of stages.demo.drawing.garments.GARMENT_KINDS
        ("superclass", pa.string()),
        ("gender", pa.string()),  # whom the garment is cut for
        ("type", pa.string()),  # one of the 32 clothing types
        ("usage", pa.string()),
        ("base_color", pa.string()),  # name of the color it is drawn in
        ("color", pa.string()),  # one of the 13; null for the names that the published merge leaves out
        ("type_swapped", pa.bool_()),  # whether upstream's annotation has another type: planted label noise
        ("color_swapped", pa.bool_()),  # the same of the color
        ("fabric", pa.string()),
        ("pattern", pa.string()),
        *((corner, pa.int32()) for corner in ("x1", "y1", "x2", "y2")),  # visible pixels, ends exclusive
        ("width", pa.int32()),  # of the upright image
        ("height", pa.int32()),
    ]
)
NOISY_HEADS = ("type", "color")  # heads with planted label errors
Row = dict[str, Any]

_TYPE_OF_KIND = {
    "tshirt": "T-Shirts", "tank": "T-Shirts", "sling": "Tops", "shirt": "Shirts", "blouse": "Blouses", "top": "Tops",
    "kurta": "Kurtas", "sweater": "Sweaters", "sweatshirt": "Sweatshirts", "cardigan": "Cardigans", "jacket": "Jackets",
    "coat": "Jackets", "blazer": "Blazers", "short_jacket": "Jackets", "jeans": "Jeans", "trousers": "Trousers",
    "track_pants": "Track Pants", "leggings": "Leggings", "capris": "Capris", "shorts": "Shorts", "skirt": "Skirts",
    "dress": "Dresses", "jumpsuit": "Jumpsuits", "cap": "Caps", "sneaker": "Casual Shoes",
    "sports_shoe": "Sports Shoes",
    "soccer_shoe": "Sports Shoes", "formal_shoe": "Formal Shoes", "loafer": "Casual Shoes", "boot": "Casual Shoes",
    "heel": "Heels", "flat": "Flats", "sandal": "Sandals", "flip_flop": "Flip Flops",
}  # fmt: skip
# Upstream's category overrides the type of the kind: a tank sold under Tops is one of the Tops.
_TYPE_OF_CATEGORY = {
    "Tshirts": "T-Shirts", "Tees_Tanks": "T-Shirts", "Graphic_Tees": "T-Shirts", "Shirts_Polos": "Shirts",
    "Blouses_Shirts": "Blouses", "Sweatshirts_Hoodies": "Sweatshirts", "Jackets_Coats": "Jackets", "Denim": "Jeans",
    "Pants": "Trousers", "Rompers_Jumpsuits": "Jumpsuits",
}  # fmt: skip
_COLOR_OF = {
    name: color
    for color, names in {
        "Black": ("Black",),
        "White": ("White",),
        "Multi": ("Multi",),
        "Blue": ("Blue", "Navy Blue", "Turquoise Blue", "Teal"),
        "Green": ("Green", "Lime Green", "Fluorescent Green", "Sea Green", "Olive"),
        "Grey": ("Grey", "Charcoal", "Grey Melange", "Steel", "Metallic"),
        "Light": ("Off White", "Cream", "Nude", "Skin"),
        "Brown": ("Brown", "Beige", "Tan", "Taupe", "Mushroom Brown"),
        "Red": ("Red", "Maroon", "Burgundy"),
        "Pink": ("Pink", "Peach", "Rose", "Magenta"),
        "Purple": ("Purple", "Lavender", "Mauve"),
        "Yellow": ("Yellow", "Mustard", "Gold", "Khaki"),
        "Orange": ("Orange", "Rust"),
    }.items()
    for name in names
}


@dataclass(frozen=True)
class Named:
    """The names of one garment of a photo in a source.

    Attributes:
        instance: the physical garment.
        item: its annotation.
        category: upstream's category, before label noise.
        swapped: heads (type, color) with a wrong label in the annotation.
    """

    instance: str
    item: str | None = None
    category: str | None = None
    swapped: frozenset[str] = frozenset()


def superclass_of(garment: Garment) -> str:
    """The detectors' class of a garment, by the published merge of DeepFashion2's 13 classes."""
    layer = garment.traits.layer
    if layer == "outer":
        return "outwear"
    if layer != "upper":
        return {"lower": "bottom", "head": "headwear", "feet": "footwear"}[layer]
    if garment.kind in ("dress", "jumpsuit", "sling"):  # in the published table slings are dresses
        return "dress"
    return "vest" if garment.sleeve == "none" else "top"


def type_of(kind: str, category: str | None = None) -> str:
    """The clothing type of a kind, or of upstream's category where there is one.

    A category with the name of its type (``Sweaters``, ``Casual Shoes``) needs no line in the map.
    """
    if category is None:
        return _TYPE_OF_KIND[kind]
    return _TYPE_OF_CATEGORY.get(category, category)


def color_of(base_color: str) -> str | None:
    """The class of upstream's color name; None for Silver, Bronze, Copper and Coffee Brown."""
    return _COLOR_OF.get(base_color)


def labels_of(garment: Garment, category: str | None = None) -> dict[str, str | None]:
    """Head -> the right class of a garment, of the heads that the demo draws; None where its color has none."""
    return {
        "gender": garment.gender,
        "type": type_of(garment.kind, category),
        "usage": garment.usage,
        "color": color_of(garment.color),
        "fabric": garment.fabric,
        "pattern": garment.pattern,
    }


def garment_rows(
    image_id: str,
    photo: Photo,
    names: Mapping[int, Named],
    *,
    picture: str | None = None,
    person: str | None = None,
    view: str | None = None,
) -> list[Row]:
    """The rows of one image file.

    Args:
        image_id: in ingest.
        photo: before defects of its annotation.
        names: garment index -> its names; other garments are companions, which are only in this picture.
        picture: the drawn image, if this file repeats another one; it names companions and wearer.
        person: the wearer, if several pictures show the person.
        view: overrides the photo's view.
    """
    picture = picture or image_id
    worn = photo.view != "flat"
    rows = []
    for index in sorted(photo.boxes):
        garment = photo.garments[index]
        named = names.get(index, Named(f"{picture}/{index}"))
        rows.append(
            {
                "image_id": image_id,
                "item": named.item,
                "instance": named.instance,
                "person": (person or picture) if worn else None,
                "view": view or photo.view,
                "worn": worn,
                "kind": garment.kind,
                "superclass": superclass_of(garment),
                "base_color": garment.color,
                **labels_of(garment, named.category),
                **{f"{head}_swapped": head in named.swapped for head in NOISY_HEADS},
                **dict(zip(("x1", "y1", "x2", "y2"), photo.boxes[index], strict=True)),
                "width": photo.image.width,
                "height": photo.image.height,
            }
        )
    return rows


def write_truth(folder: Path, rows: list[Row]) -> None:
    """``garments.parquet``, sorted by image; the garments of an image keep their order."""
    write_rows(folder / FILE, TRUTH, sorted(rows, key=lambda row: row["image_id"]))
