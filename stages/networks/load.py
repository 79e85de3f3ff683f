"""Load trained encoders by the kind in their card."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.files import read_json
from stages.networks.backbones.features import Encoder
from stages.networks.encoders.kinds import kind_of

if TYPE_CHECKING:
    from stages.learning.acceleration import RuntimeParams


def load_encoder(folder: Path, runtime: "RuntimeParams | None" = None) -> Encoder:
    """The encoder that a training stage wrote into ``folder``.

    Args:
        runtime: sets the memory layout of its network; None: the default layout.

    Raises:
        StageError: when the card is missing, names an unknown kind or lacks a key, or the weights do not fit it.
    """
    path = folder / "encoder.json"
    module, name = kind_of(read_json(path), str(path)).loader
    encoder = getattr(import_module(f"stages.networks.{module}"), name)(folder)
    if runtime is not None:
        from stages.learning.acceleration import lay_out

        lay_out(encoder.network, runtime)
    return encoder
