"""What tells an encoder from others in a comparison: its size, the pictures it takes, the epoch that was kept."""

from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from stages.core.errors import StageError
from stages.core.files import read_json

# BatchNorm's statistics: in the weights file, but nothing that is learned by a gradient.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def parameter_count(weights: Path) -> int:
    """Numbers in a safetensors file less BatchNorm's statistics, from its header alone.

    Raises:
        StageError: when the file is no safetensors file.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{weights}: not a safetensors file: {error}. Run `dvc repro`.") from None
    return sum(prod(shape) for name, shape in shapes.items() if name.rsplit(".", 1)[-1] not in BUFFERS)


def encoder_parameters(folder: Path) -> int | None:
    """Parameters of all weights of an encoder; None when it has no weights of its own."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(parameter_count(path) for path in files) if files else None


def about_encoder(folder: Path) -> dict[str, int]:
    """What is known of a trained encoder.

    Returns:
        parameters; image_size: pixels of the pictures' (longer) side; kept_epoch: 0 = the weights it started from.
    """
    card = read_json(folder / "encoder.json") if (folder / "encoder.json").is_file() else {}
    found = {
        "parameters": encoder_parameters(folder),
        "image_size": card.get("image_size"),
        "kept_epoch": card.get("epoch"),
    }
    return {name: value for name, value in found.items() if value is not None}
