"""Trained encoders by the kind that their card names."""

from importlib import import_module
from pathlib import Path

from stages.core.errors import StageError, shown
from stages.core.files import read_json
from stages.encoders.features import Encoder

# Kind in encoder.json -> the class that loads it. Imported when asked for: torch takes seconds.
KINDS = {
    "simclr": ("stages.encoders.features", "BackboneEncoder"),
    "classifier": ("stages.attributes.encoder", "ClassifierEncoder"),
    "frozen": ("stages.encoders.vectors", "FrozenEncoder"),
    "ensemble": ("stages.encoders.vectors", "EnsembleEncoder"),
    "siamese": ("stages.encoders.vectors", "SiameseEncoder"),
    "fir": ("stages.encoders.vectors", "FirEncoder"),
    "normsoftmax": ("stages.encoders.vectors", "NormsoftmaxEncoder"),
    "attention": ("stages.encoders.attention.encoder", "AttentionEncoder"),
}


def load_encoder(folder: Path) -> Encoder:
    """The encoder that a training stage wrote into ``folder``.

    Raises:
        StageError: when the card is missing or names an unknown kind.
    """
    kind = read_json(folder / "encoder.json").get("kind")
    if kind not in KINDS:
        raise StageError(f"{folder}/encoder.json: kind {kind!r}, expected one of: {shown(KINDS)}. Run `dvc repro`.")
    module, name = KINDS[kind]
    return getattr(import_module(module), name)(folder)
