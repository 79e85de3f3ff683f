"""Trained encoders by the kind that their card names."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.errors import StageError, shown
from stages.core.files import read_json
from stages.networks.backbones.features import Encoder

if TYPE_CHECKING:
    from stages.learning.acceleration import RuntimeParams

# Kind in encoder.json -> the class that loads it. Imported when asked for: torch takes seconds.
KINDS = {
    "simclr": ("stages.networks.backbones.features", "BackboneEncoder"),
    "classifier": ("stages.networks.classifier.encoder", "ClassifierEncoder"),
    "frozen": ("stages.networks.metric.encoder", "FrozenEncoder"),
    "ensemble": ("stages.networks.metric.encoder", "EnsembleEncoder"),
    "siamese": ("stages.networks.metric.encoder", "SiameseEncoder"),
    "fir": ("stages.networks.metric.encoder", "FirEncoder"),
    "normsoftmax": ("stages.networks.metric.encoder", "NormsoftmaxEncoder"),
    "attention": ("stages.networks.attention.encoder", "AttentionEncoder"),
}


def load_encoder(folder: Path, runtime: "RuntimeParams | None" = None) -> Encoder:
    """The encoder that a training stage wrote into ``folder``.

    Args:
        runtime: memory layout of its network; None: as it comes.

    Raises:
        StageError: when the card is missing or names an unknown kind.
    """
    kind = read_json(folder / "encoder.json").get("kind")
    if kind not in KINDS:
        raise StageError(f"{folder}/encoder.json: kind {kind!r}, expected one of: {shown(KINDS)}. Run `dvc repro`.")
    module, name = KINDS[kind]
    encoder = getattr(import_module(module), name)(folder)
    if runtime is not None:
        from stages.learning.acceleration import lay_out

        lay_out(encoder.network, runtime)
    return encoder
