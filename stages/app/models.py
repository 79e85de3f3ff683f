"""The trained models of the active profile, as the wardrobe uses them; each is loaded when it is first needed."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stages.app.garments import (
    UPLOAD,
    Box,
    Garment,
    cut_detections,
    detect,
    garment_at,
    garments_in,
    inputs,
    read_photo,
    unit,
)
from stages.contracts.images import encode_jpeg
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.fast_imports import import_timm
from stages.core.files import digest, read_json
from stages.core.params import Names, load_params, lookup, section
from stages.crops.matching import Detection
from stages.crops.params import CropParams
from stages.networks.detector.model import Detector, load_detectors, quiet_ultralytics
from stages.networks.detector.params import NmsParams
from stages.profiles.app import AppParams
from stages.retrieval.index import SearchParams

if TYPE_CHECKING:
    from stages.app.salient_boxes import SalientBoxes
    from stages.networks.classifier import ClassifierEncoder

STEPS = "1"  # raise it when a change of code gives other garments or vectors from the same models
DEFAULT_HEADS = "classes"
MODEL_FILES = ("detector.json", "encoder.json", "weights.safetensors")


class Models:
    """Detectors and classifier. The networks take one photo at a time, whichever thread asks.

    Attributes:
        profile: of params.yaml.
        heads: head -> class names, in the order of ``QueryGarment.probabilities``.
        superclasses: the classes of all detectors.
        unsure_below: params ``app.unsure_below``.
        folders: of the detectors and, as the last one, of the classifier.
        search: how a large wardrobe is searched; None: exactly.
        salient: garments are boxed by U²-Net-p instead of by the detectors.
    """

    search: SearchParams | None = None
    salient = False

    def __init__(
        self,
        root: Path,
        profile: str,
        detectors: Sequence[str],
        params: CropParams,
        nms: NmsParams,
        unsure_below: float,
    ) -> None:
        """Read the models' cards.

        Args:
            root: the folder that holds ``detectors/`` and ``encoders/``.
            detectors: their names.

        Raises:
            StageError: a model is missing.
        """
        classifier = root / "encoders" / "classifier"
        if not (classifier / "encoder.json").is_file():
            raise StageError(f"{root}: no trained classifier there. Run `make repro` first (or `dvc pull`).")
        self.profile, self.params, self.nms, self.unsure_below = profile, params, nms, unsure_below
        self._detectors: list[Detector] = list(load_detectors(root / "detectors", detectors).values())
        self.folders = [*(detector.folder for detector in self._detectors), classifier]
        card = read_json(classifier / "encoder.json")
        self.heads: dict[str, list[str]] = card[DEFAULT_HEADS]
        self.superclasses = [name for detector in self._detectors for name in detector.names]
        self.salient = params.boxes == "salient"
        if self.salient and not card.get("superclass_of"):
            raise StageError(
                f"{classifier / 'encoder.json'}: key 'superclass_of', which gives salient boxes their class, is not "
                "there: an earlier version trained the classifier. Run `make repro` (or `dvc pull`)."
            )
        self._turn = Lock()

    @classmethod
    def open(cls, content: Mapping[str, Any] | None = None, confidence: float | None = None) -> "Models":
        """The models that params name. Reads only their cards; the weights are loaded at the first photo.

        Args:
            content: of params.yaml; None: read the file.
            confidence: smallest confidence of a detection, instead of ``crops.confidence``.

        Raises:
            StageError: params or models are missing.
        """
        content = load_params() if content is None else content
        params, profile = section(CropParams, "crops", content), str(lookup(content, "profile"))
        if confidence is not None:
            params = params.model_copy(update={"confidence": confidence})
        names, nms = section(Names, "detectors", content), section(NmsParams, "nms", content)
        unsure_below = section(AppParams, "app", content).unsure_below
        models = cls(Path("models") / profile, profile, names, params, nms, unsure_below)
        models.search = section(SearchParams, "search", content)
        return models

    @cached_property
    def encoder(self) -> "ClassifierEncoder":
        """The classifier with its weights."""
        from stages.networks.classifier import ClassifierEncoder

        return ClassifierEncoder(self.folders[-1])

    @cached_property
    def salient_boxes(self) -> "SalientBoxes":
        """U²-Net-p with its weights.

        Raises:
            StageError: its package is not installed.
        """
        from stages.app.salient_boxes import SalientBoxes

        return SalientBoxes(self.params)

    def files(self) -> list[Path]:
        """The files whose content decides what is found in a photo."""
        return [path for folder in self.folders for name in MODEL_FILES if (path := folder / name).is_file()]

    def key(self, hashes: Mapping[Path, str]) -> str:
        """A hash of everything but the photo that its garments and vectors depend on: models and params.

        Args:
            hashes: SHA-256 of each of ``files()``.
        """
        params = self.params.model_dump(
            include={"boxes", "background", "confidence", "padding", "shape", "max_side", "min_side"}
        )
        names = [f"{path.parent.name}/{path.name} {hashes[path]}" for path in self.files()]
        return digest(STEPS, repr(sorted(params.items())), repr(self.nms), *names)

    def load(self) -> None:
        """Load what every photo needs, so that a missing package is no photo's fault.

        Raises:
            StageError: U²-Net-p is needed and not installed.
        """
        if self.salient:
            _ = self.salient_boxes

    def warm(self) -> None:
        """Build all networks now instead of at the first photo."""
        self.describe(self.garments(encode_jpeg(Image.new("RGB", (64, 64))))[1])

    def garments(self, data: bytes, name: Path = UPLOAD) -> tuple[tuple[int, int], list[Garment]]:
        """Width and height of a photo in pixels, and its garments.

        Raises:
            StageError: as ``read_photo`` and ``cut_detections``, or U²-Net-p is not installed.
        """
        image = read_photo(data, name)  # outside of the lock, so that another thread can decode the next photo
        with self._turn:
            seed_everything(0)
            detections, mask = self._detect(image)
            return image.size, cut_detections(image, detections, self.params, self.nms, name, mask)

    def _detect(self, image: Image.Image) -> tuple[list[Detection], np.ndarray | None]:
        """Boxes, and the mask where crops have a plain background."""
        if self.salient:
            return self.salient_boxes.detect(image, self.encoder)
        return detect(image, self._detectors, self.params, self.nms), None

    def trained_boxes(self, data: bytes) -> list[Box]:
        """The trained detectors' boxes of a photo, most confident first, whether or not ``garments`` takes them."""
        image = read_photo(data)
        with self._turn:
            seed_everything(0)
            garments = garments_in(image, self._detectors, self.params, self.nms)
        return [garment.box for garment in garments if garment.box is not None]

    def garment_at(self, data: bytes, box: Box | None, superclass: str) -> Garment:
        """The garment at a box that a person drew; see ``garments.garment_at``."""
        image = read_photo(data)
        with self._turn:
            seed_everything(0)
            mask = self.salient_boxes.mask_of_crops(image) if self.salient and box is not None else None
        return garment_at(image, box, superclass, self.superclasses, self.params, mask=mask)

    def describe(self, garments: Sequence[Garment]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 [n, d], and calibrated probabilities float32 [n, classes of all heads]."""
        with self._turn:
            seed_everything(0)
            vectors, probabilities = self.encoder.vectors_and_probabilities(*inputs(garments, self.encoder))
        shares = np.concatenate([probabilities[head] for head in self.heads], axis=1)
        return unit(vectors, self.encoder.metric), shares.astype(np.float32)


def import_networks() -> None:
    """Import now what networks need when they are built, so that the measurement of a search does not include it."""
    import_timm()
    quiet_ultralytics()
    for name in ("safetensors.torch", "ultralytics.nn.tasks", "ultralytics.data.augment", "ultralytics.utils.nms"):
        import_module(name)


def stamp(path: Path) -> tuple[int, int, int]:
    """Size, time of the last change in ns, and inode of a file: if none changed, the content is taken as unchanged."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
