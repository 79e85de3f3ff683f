"""The registry of encoders: for each kind its card, the class that loads it, and whether a recipe makes it.

Modules are given by name and imported on demand, because importing torch takes seconds and embedding needs no training
code.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from stages.core.errors import StageError, shown


class Kind(NamedTuple):
    """One kind of encoder.

    Attributes:
        loader: module below ``stages.networks`` and its class that takes the folder of card and weights.
        metric: how its vectors are compared.
        keys: of its card, encoder.json, apart from ``kind`` and ``metric``: what the loader needs to build the network.
        recipe: whether ``stages.encoders`` has a module of the kind's name, which offers RECIPE, its Section, and
            fit(recipe, train, val, run) -> Fitted; others have a stage of their own.
    """

    loader: tuple[str, str]
    metric: Literal["cosine", "euclidean"]
    keys: tuple[str, ...]
    recipe: bool = True


ENCODER_KINDS = {
    "simclr": Kind(("backbones.features", "BackboneEncoder"), "cosine", ("backbone", "image_size"), recipe=False),
    "classifier": Kind(
        ("classifier", "ClassifierEncoder"), "cosine",
        ("backbone", "image_size", "classes", "superclasses", "params"), recipe=False,
    ),
    "frozen": Kind(("encoders.metric_learning", "FrozenEncoder"), "cosine", ("backbone", "pooling", "image_size")),
    "ensemble": Kind(("encoders.metric_learning", "EnsembleEncoder"), "cosine", ("members", "image_size")),
    "siamese": Kind(
        ("encoders.metric_learning", "SiameseEncoder"), "euclidean", ("backbone", "pooling", "embedding", "image_size")
    ),
    "fir": Kind(
        ("encoders.metric_learning", "FirEncoder"), "cosine",
        ("backbone", "image_size", "categories", "relaxation", "dropout"),
    ),
    "normsoftmax": Kind(
        ("encoders.metric_learning", "NormsoftmaxEncoder"), "cosine", ("backbone", "pooling", "embedding", "image_size")
    ),
    "image_text": Kind(
        ("encoders.image_text", "ImageTextEncoder"), "cosine", ("image_size", "config", "origin")
    ),
    "attention": Kind(
        ("encoders.attention.encoder", "AttentionEncoder"), "euclidean", ("image_size", "labels", "network")
    ),
}  # fmt: skip
RECIPES = {name: kind for name, kind in ENCODER_KINDS.items() if kind.recipe}


def card_of(kind: str, **values: Any) -> dict[str, Any]:
    """The card of an encoder, given the values that describe its network.

    Raises:
        TypeError: the values do not have exactly the kind's keys.
    """
    if set(values) != set(ENCODER_KINDS[kind].keys):
        raise TypeError(f"card of {kind}: got {shown(values)}, expected {shown(ENCODER_KINDS[kind].keys)}")
    return {"kind": kind, "metric": ENCODER_KINDS[kind].metric, **values}


def kind_of(card: Mapping[str, Any], where: str) -> Kind:
    """The kind that a card names.

    Raises:
        StageError: an unknown kind, or a key that the card lacks.
    """
    kind = ENCODER_KINDS.get(card.get("kind", ""))
    if kind is None:
        raise StageError(
            f"{where}: kind {card.get('kind')!r}, expected one of: {shown(ENCODER_KINDS)}. Run `dvc repro`."
        )
    if missing := [key for key in ("metric", *kind.keys) if key not in card]:
        raise StageError(f"{where}: key {missing[0]!r} is missing. Run `dvc repro`.")
    return kind
