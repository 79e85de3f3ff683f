"""Small recipes of every kind of encoder, and the rows that they learn from."""

import numpy as np
from PIL import Image

from profiles import whole
from stages.contracts.images import encode_jpeg

COMMON = {
    "learns_from": {"table": "tiny", "category": "type", "same_colorway": True, "labels": [], "max_train": None, "max_val": None},
    "image_size": 32, "validation": {"select": "hit_at_1", "k": 1, "reference": 100, "batch": 8}, "seed": 0,
}  # fmt: skip
_SCHEDULE = {"epochs": 3, "batch": 8, "learning_rate": 0.01, "drop_at": [2], "drop_factor": 0.1, "weight_decay": 0.0}
_GEOMETRY = {"flip": 0.5, "rotation": 5, "min_scale": 0.9, "mask": 0.2, "mask_share": 0.1}
_PICTURES = {"freeze_norm": False, "schedule": _SCHEDULE, "geometry": _GEOMETRY}
_BACKBONE = {"backbone": "test_resnet", "weights": "none"}
RECIPES = {
    "frozen": _BACKBONE | {"pooling": "average"},
    "ensemble": {"members": [_BACKBONE | {"pooling": "average"}, _BACKBONE | {"pooling": "stages"}], "shares": [0.0, 0.5, 1.0]},
    "siamese": _BACKBONE | {"pooling": "max", "embedding": 8, "margin": 1.0, "negatives": 2, "min_images": 3, "schedule": _SCHEDULE},
    "fir": _BACKBONE | _PICTURES | {
        "losses": ["OC", "IS"], "alpha": 1.0, "beta": 0.1, "margin": 0.3, "miner": "hard", "per_label": 2,
        "relaxation": 8, "dropout": 0.5,
    },
    "normsoftmax": _BACKBONE | _PICTURES | {
        "pooling": "average", "embedding": None, "target": "item", "loss": "normsoftmax", "temperature": 0.05,
        "margin": 28.6, "scale": 64.0, "loss_rate": 10.0, "imprint": False, "per_class": 2,
    },
    "attention": _PICTURES | {
        "image_size": 48, "cached_views": 0,
        "network": {
            "branch": None, "weights": "none", "freeze_branch": False, "widths": [4, 6, 8], "dropout": 0.25, "texture_width": 4, "codewords": 3, "hidden": 8, "region": 3,
            "anchors": [[0.0, -0.5], [0.0, 0.5]], "start_size": 0.5,
        },
        "losses": {"gamma_div": 0.01, "gamma_loc": 0.1, "lambda_anchor": 0.01, "lambda_positive": 0.1, "alpha": 0.5, "beta": 0.1},
    },
}  # fmt: skip


SMALL = {**_BACKBONE, **_PICTURES, "embedding": 8}


def small(kind):
    """The values of a small recipe of a kind; of a kind without values above, a recipe of the profiles made small."""
    if kind == "image_text":
        from tiny_clip import small_recipe

        return small_recipe()
    if kind in RECIPES:
        return RECIPES[kind]
    own = next(recipe for recipe in whole("demo")["encoder"].values() if recipe["kind"] == kind)
    return {key: SMALL.get(key, value) for key, value in own.items() if key not in COMMON}


def striped(number, view):
    """A JPEG crop: the item's two colors in stripes, whose width is the category's; views differ by noise."""
    draw = np.random.default_rng(number)
    colors = draw.integers(0, 255, (2, 3))
    width = 4 if number % 2 else 9
    stripes = colors[(np.arange(36) // width) % 2][None].repeat(48, axis=0)
    noise = np.random.default_rng([number, view]).integers(-12, 13, stripes.shape)
    return encode_jpeg(Image.fromarray((stripes + noise).clip(0, 255).astype(np.uint8)))


def example_rows(split, items, views=3):
    """Rows of ``items`` garments with ``views`` pictures each; the last garment's item is not known."""
    return [
        {
            "row_id": f"{split}-{number:02}-{view}", "split": split,
            "item": f"item{number:02}" if number != items[-1] else None,
            "category": ("skirt", "shirt")[number % 2],
            "labels": [("skirt", "shirt")[number % 2], ("plain", "warm", "cold")[number % 3]],
            "bytes": striped(number, view),
        }
        for number in items for view in range(views)
    ]  # fmt: skip
