"""A trained detector as files that hold no date, path or machine: safetensors weights and a JSON card."""

from pathlib import Path
from typing import Any

import numpy as np

from stages.core.determinism import device, fix_threads
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.networks.detector.backbone import architecture_path, register_backbone


def quiet_ultralytics() -> None:
    """Import Ultralytics with its own integrations off: it must not sync, log elsewhere or download."""
    from ultralytics.utils import LOGGER, SETTINGS

    wanted = dict.fromkeys(
        ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb"), False
    )
    if any(SETTINGS.get(key) for key in wanted):
        SETTINGS.update({key: value for key, value in wanted.items() if key in SETTINGS})
    LOGGER.setLevel("WARNING")


def new_yolo(architecture: str) -> Any:
    """An untrained Ultralytics YOLO of the given architecture file."""
    quiet_ultralytics()
    register_backbone()
    from ultralytics import YOLO

    return YOLO(architecture_path(architecture), task="detect", verbose=False)


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
    """A trained detector, ready to predict.

    Attributes:
        name: the detector's name.
        names: superclass of each class index.
        image_size: side in pixels that images are letterboxed to.
    """

    def __init__(self, folder: Path) -> None:
        """Load what ``save_detector`` wrote.

        Raises:
            StageError: when the folder has no detector or its weights do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        card = read_json(folder / "detector.json")
        self.name: str = folder.name
        self.names: list[str] = card["superclasses"]
        self.image_size: int = card["image_size"]
        self.yolo = new_yolo(card["model"])
        network = _network(self.yolo, len(self.names))
        try:
            network.load_state_dict(load_file(folder / "weights.safetensors"))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise StageError(f"{folder}: weights do not fit {card['model']}: {error}. Run `dvc repro`.") from None
        network.names = dict(enumerate(self.names))
        self.yolo.model = network
        # Ultralytics sets its own thread count when it selects the CPU; ours must hold for the first batch too.
        for event in ("on_predict_start", "on_val_start"):
            self.yolo.add_callback(event, lambda _: fix_threads())

    def predict(self, images: list[np.ndarray], confidence: float, iou: float) -> list[list[dict[str, Any]]]:
        """Detections of each image, most confident first.

        Args:
            images: uint8 arrays [height, width, 3], RGB.
            confidence: smallest confidence to report, in [0, 1].
            iou: overlap above which the weaker of two boxes is suppressed.

        Returns:
            for each image a list of dicts: superclass, confidence, x1, y1, x2, y2 (pixels of that image).
        """
        results = self.yolo.predict(
            [np.ascontiguousarray(image[..., ::-1]) for image in images],
            imgsz=self.image_size,
            conf=confidence,
            iou=iou,
            agnostic_nms=True,
            device=device(),
            rect=False,
            verbose=False,
            save=False,
        )
        return [self._rows(result) for result in results]

    def _rows(self, result: Any) -> list[dict[str, Any]]:
        rows = []
        for corners, score, index in zip(
            result.boxes.xyxy.cpu().tolist(),
            result.boxes.conf.cpu().tolist(),
            result.boxes.cls.int().tolist(),
            strict=True,
        ):
            x1, y1, x2, y2 = corners
            rows.append({"superclass": self.names[index], "confidence": score, "x1": x1, "y1": y1, "x2": x2, "y2": y2})
        return sorted(rows, key=lambda row: (-row["confidence"], row["x1"], row["y1"]))


def _network(yolo: Any, classes: int) -> Any:
    """The detection network of an architecture with another number of classes."""
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(yolo.model.yaml | {"nc": classes}, nc=classes, verbose=False)
    network.args = yolo.model.args
    network.task = "detect"
    return network.eval()


def load_detectors(folder: Path, names: list[str]) -> dict[str, Detector]:
    """Detectors by name.

    Raises:
        StageError: when one is not in ``folder``.
    """
    return {name: Detector(folder / name) for name in names}
