"""A trained detector as files without date, path or machine name: safetensors weights and a JSON card.

Its network may be a YOLO with an ImageNet backbone: Ultralytics has a slot for other libraries' models, which takes
timm's feature maps (backbone.py). torch is imported with the first network, so that a card is read without it.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.determinism import device, fix_threads
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.networks.detector.params import NmsParams

HERE = Path(__file__).parent


def register_backbone() -> None:
    """Let model YAMLs use ``TorchVision`` for ``DetectorBackbone``."""
    import ultralytics.nn.tasks as tasks

    from stages.networks.detector.backbone import DetectorBackbone

    tasks.TorchVision = DetectorBackbone


def architecture_path(name: str) -> str:
    """The project's own architecture file of that name, or else the name, which Ultralytics resolves."""
    own = HERE / name
    return str(own) if own.is_file() else name


def quiet_ultralytics() -> None:
    """Import Ultralytics with its integrations off, so that it does not sync, download or log elsewhere."""
    from ultralytics.utils import LOGGER, SETTINGS

    wanted = dict.fromkeys(
        ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb"), False
    )
    if any(SETTINGS.get(key) for key in wanted):
        SETTINGS.update({key: value for key, value in wanted.items() if key in SETTINGS})
    LOGGER.setLevel("WARNING")


def new_network(architecture: str, classes: int) -> Any:
    """A network of the given architecture for that many classes, in evaluation mode, before its weights are loaded."""
    quiet_ultralytics()
    register_backbone()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    content = yaml_model_load(architecture_path(architecture)) | {"nc": classes}
    for *_, arguments in content["backbone"]:  # reading ImageNet's weights takes .3 s, and they are replaced
        arguments[:] = ["none" if argument == "packaged" else argument for argument in arguments]
    return DetectionModel(content, nc=classes, verbose=False).eval()


def save_detector(state: dict[str, Any], card: dict[str, Any], out: Path) -> None:
    """Write the network's state as weights.safetensors (float32), and detector.json, into ``out``."""
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().float().contiguous().cpu() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in state.items()
    }
    save_file(tensors, out / "weights.safetensors")
    write_json(out / "detector.json", card)


class Detector:
    """A trained detector; its network is built on first use.

    Attributes:
        name: the detector's name.
        names: superclass of each class index.
        image_size: side in pixels that images are letterboxed to.
    """

    def __init__(self, folder: Path) -> None:
        """Read the card that ``save_detector`` wrote.

        Raises:
            StageError: the folder has no detector.
        """
        card = read_json(folder / "detector.json")
        self.folder = folder
        self.name: str = folder.name
        self.names: list[str] = card["superclasses"]
        self.image_size: int = card["image_size"]
        self._architecture: str = card["model"]

    def network(self) -> Any:
        """A new network with the saved weights.

        Raises:
            StageError: the weights do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        network = new_network(self._architecture, len(self.names))
        try:
            network.load_state_dict(load_file(self.folder / "weights.safetensors"))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise StageError(
                f"{self.folder}: weights do not fit {self._architecture}: {error}. Run `dvc repro`."
            ) from None
        network.names = dict(enumerate(self.names))
        return network

    def yolo(self) -> Any:
        """The network in Ultralytics' model class, for Ultralytics' validation."""
        quiet_ultralytics()
        register_backbone()
        from ultralytics import YOLO

        yolo = YOLO(architecture_path(self._architecture), task="detect", verbose=False)
        network = self.network()
        network.args, network.task = yolo.model.args, "detect"
        yolo.model = network
        # Ultralytics sets a thread count when it selects the CPU; the project's must hold from the first batch on.
        yolo.add_callback("on_val_start", lambda _: fix_threads())
        return yolo

    @cached_property
    def _fused(self) -> Any:
        """The network for prediction, prepared as by Ultralytics' predictor: batch norms fused, channels last."""
        import torch

        network = self.network().fuse(verbose=False).to(device(), memory_format=torch.channels_last)
        fix_threads()  # OpenCV is imported by now
        return network

    def predict(self, images: Sequence[np.ndarray], confidence: float, nms: NmsParams) -> list[list[dict[str, Any]]]:
        """Detections of each image, most confident first.

        The steps are those of Ultralytics' predictor; a test compares the two. That predictor changes the number of
        threads, and drops boxes if a busy machine exceeds its time limit.

        Args:
            images: uint8 arrays [height, width, 3], RGB.
            confidence: smallest confidence to report, in [0, 1].
            nms: params of non-maximum suppression.

        Returns:
            a list for each image, of dicts with superclass, confidence, x1, y1, x2, y2 (pixels of that image).
        """
        network = self._fused
        import torch
        from ultralytics.data.augment import LetterBox
        from ultralytics.utils.nms import non_max_suppression
        from ultralytics.utils.ops import scale_boxes

        letterbox = LetterBox(self.image_size)
        batch = torch.from_numpy(np.stack([letterbox(image=image) for image in images])).to(device())
        with torch.inference_mode():
            inputs = batch.permute(0, 3, 1, 2).float().div_(255)
            kept = non_max_suppression(
                network(inputs), confidence, nms.iou, agnostic=not nms.per_class, max_time_img=float("inf")
            )
            for boxes, image in zip(kept, images, strict=True):
                boxes[:, :4] = scale_boxes(inputs.shape[2:], boxes[:, :4], image.shape)
        return [self._rows(boxes.tolist()) for boxes in kept]

    def _rows(self, boxes: list[list[float]]) -> list[dict[str, Any]]:
        rows = [
            {"superclass": self.names[int(index)], "confidence": score, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
            for x1, y1, x2, y2, score, index in boxes
        ]
        return sorted(rows, key=lambda row: (-row["confidence"], row["x1"], row["y1"]))


def load_detectors(folder: Path, names: Iterable[str]) -> dict[str, Detector]:
    """Detectors by name.

    Raises:
        StageError: one is not in ``folder``.
    """
    return {name: Detector(folder / name) for name in names}
