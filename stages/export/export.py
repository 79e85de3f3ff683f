"""Write the trained networks as ONNX into a folder that works without this project.

Usage: python -m stages.run export [OUT] [--encoder NAME]   (`make export`, `seamline export`)

Writes OUT (by default export/<profile>): the detectors, the classifier and the encoder of the active profile as ONNX,
and U²-Net-p where salient boxes cut the crops; pipeline.json (classes, preprocessing, thresholds, hashes); and
reader.py with reader_boxes.py, which finds the garments of a photo and needs only onnxruntime, pillow and numpy. The
encoder is the classifier, whose vector `make match` compares, or another one of `encoders` in params.yaml.
docs/export.md describes the folder.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.contracts.images import JPEG_QUALITY
from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_json, write_json
from stages.core.params import Names, load_params, lookup, section
from stages.crops.params import CropParams
from stages.networks.detector.model import load_detectors
from stages.networks.detector.params import NmsParams
from stages.runner.stage import new_parser, one_message

if TYPE_CHECKING:
    from stages.networks.backbones.features import Encoder, Pixels
    from stages.networks.classifier import ClassifierEncoder

READER = [Path(__file__).with_name(name) for name in ("reader.py", "reader_boxes.py")]
SETTINGS = "pipeline.json"
MADE_BY = "seamline export"
FORMAT = 1  # version of the folder; raised when an earlier reader.py cannot read it any more
APP = "classifier"  # the encoder of `make match`
CROP = {"padding", "shape", "background", "max_side", "min_side"}  # params of `crops` that any crop needs


def export(out: Path, encoder: str, content: Mapping[str, Any]) -> Path:
    """Write the folder; it replaces an earlier export in the same place.

    Args:
        encoder: one of `encoders`.
        content: of params.yaml.

    Raises:
        StageError: the folder holds something else, a model is missing, or a network cannot be written as ONNX.
    """
    if out.exists() and not is_export(out) and (not out.is_dir() or any(out.iterdir())):
        raise StageError(f"{out}: is there already and not an empty folder. Name a new folder, or empty this one.")
    models = Path("models") / str(lookup(content, "profile"))
    detectors, encoders = (section(Names, name, content) for name in ("detectors", "encoders"))
    if encoder not in encoders:
        raise StageError(f"no encoder {encoder!r}; expected one of `encoders` in params.yaml: {shown(encoders)}.")
    folders = [models / "detectors" / name for name in detectors]
    folders += [models / "encoders" / name for name in sorted({APP, encoder})]
    if missing := [folder for folder in folders if not (folder / "weights.safetensors").is_file()]:
        raise StageError(f"no trained models in {shown(missing)}. Run `make repro` first (or `dvc pull`).")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as work:
        staged = Path(work) / "folder"
        staged.mkdir()
        write_folder(staged, models, encoder, content)
        fresh_folder(out).rmdir()
        staged.rename(out)
    return out


def is_export(folder: Path) -> bool:
    """Whether an export wrote the folder."""
    try:
        settings = read_json(folder / SETTINGS)
    except (StageError, OSError):
        return False
    return isinstance(settings, dict) and settings.get("made_by") == MADE_BY


def write_folder(out: Path, models: Path, encoder: str, content: Mapping[str, Any]) -> None:
    """Write everything into an empty folder.

    Args:
        models: models/<profile>.

    Raises:
        StageError: weights do not fit their card, or a network cannot be written as ONNX.
    """
    from stages.networks.classifier import ClassifierEncoder
    from stages.networks.load import load_encoder

    seed_everything(0)  # fixes torch's threads
    crops, nms = section(CropParams, "crops", content), section(NmsParams, "nms", content)
    classifier = ClassifierEncoder(models / "encoders" / APP)
    exported = write_classifier(classifier, models / "encoders" / APP, out)
    detectors = [write_detector(models / "detectors" / name, out) for name in section(Names, "detectors", content)]
    if encoder == APP:
        chosen = {key: exported[key] for key in ("file", "sha256", "weights_sha256", "image", "detected_classes")}
        metric = classifier.metric
    else:
        network = load_encoder(models / "encoders" / encoder)
        chosen, metric = write_encoder(network, models / "encoders" / encoder, out), network.metric
    settings: dict[str, Any] = {
        "format": FORMAT,
        "made_by": MADE_BY,
        "profile": lookup(content, "profile"),
        "detectors": detectors,
        "confidence": crops.confidence,
        "nms": nms.model_dump(),
        "crop": {**crops.model_dump(include=CROP), "jpeg_quality": JPEG_QUALITY},
        "classifier": exported,
        "encoder": {"name": encoder, "metric": metric, **chosen},
        "unsure_below": content.get("app", {}).get("unsure_below", 0.0),
    }
    if crops.boxes == "salient":
        settings["salient"] = write_salient(classifier, out)
    write_json(out / SETTINGS, settings)
    for path in READER:
        shutil.copyfile(path, out / path.name)


def write_detector(folder: Path, out: Path) -> dict[str, Any]:
    """Write a trained detector; returns its entry in pipeline.json."""
    from stages.export.graphs import BOXES, DetectorGraph, write_graph

    detector = load_detectors(folder.parent, [folder.name])[folder.name]
    side, name = detector.image_size, f"detector_{folder.name}.onnx"
    sha256 = write_graph(DetectorGraph(detector.network()), (side, side), [BOXES], out / name)
    return {"name": folder.name, "classes": detector.names, "image_size": side, **_files(name, sha256, folder)}


def write_classifier(encoder: "ClassifierEncoder", folder: Path, out: Path) -> dict[str, Any]:
    """Write a trained classifier; returns its entry in pipeline.json."""
    from stages.export.graphs import LOGITS, VECTOR, ClassifierGraph, write_graph

    heads, name = encoder.network.classes, f"{APP}.onnx"
    size = encoder.pixels.height, encoder.pixels.width
    outputs = [VECTOR, *(LOGITS + head for head in heads)]
    sha256 = write_graph(ClassifierGraph(encoder.network.cpu()), size, outputs, out / name)
    temperatures = read_json(folder / "encoder.json").get("temperatures", {})
    return {
        "heads": heads,
        "temperatures": {head: temperatures.get(head, 1.0) for head in heads},
        "detected_classes": encoder.network.superclasses,
        "image": _image(encoder.pixels),
        **_files(name, sha256, folder),
    }


def write_encoder(encoder: "Encoder", folder: Path, out: Path) -> dict[str, Any]:
    """Write a trained encoder that needs no detected class; returns its entry in pipeline.json.

    Raises:
        StageError: the encoder is not a single network, or cannot be written as ONNX.
    """
    from stages.export.graphs import VECTOR, EncoderGraph, write_graph

    network = getattr(encoder, "network", None)
    if network is None:
        kind = read_json(folder / "encoder.json")["kind"]
        raise StageError(f"{folder}: an encoder of kind {kind} is no single network and cannot be exported.")
    name = f"encoder_{folder.name}.onnx"
    size = encoder.pixels.height, encoder.pixels.width
    sha256 = write_graph(EncoderGraph(network.cpu()), size, [VECTOR], out / name)
    return {"image": _image(encoder.pixels), **_files(name, sha256, folder)}


def write_salient(classifier: "ClassifierEncoder", out: Path) -> dict[str, Any]:
    """Copy U²-Net-p; returns its entry in pipeline.json: how a mask becomes boxes, and the superclasses of the types.

    Raises:
        StageError: its package is not installed.
    """
    from stages.salient.mask_boxes import HOOK, LEAST, PAIRED, PART, SEVERAL, THRESHOLD
    from stages.salient.network import SIDE
    from stages.salient.weights import SHA256, weights_file

    name = "salient.onnx"
    shutil.copyfile(weights_file(), out / name)
    return {
        "file": name, "sha256": SHA256, "side": SIDE, "threshold": THRESHOLD, "hook": HOOK, "part": PART,
        "least": LEAST, "paired": PAIRED, "several": SEVERAL, "superclass_of": classifier.superclass_of,
    }  # fmt: skip


def _image(pixels: "Pixels") -> dict[str, Any]:
    return {"height": pixels.height, "width": pixels.width, "fit": pixels.fit}


def _files(name: str, sha256: str, folder: Path) -> dict[str, str]:
    """Name and hash of a file, and the hash of the weights from which it was made."""
    weights = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    return {"file": name, "sha256": sha256, "weights_sha256": weights}


def summary(out: Path) -> list[str]:
    """Lines for people: each file of the folder with its size, and how to try it."""
    files = sorted(out.iterdir(), key=lambda path: (-path.stat().st_size, path.name))
    lines = [f"{path.stat().st_size / 1e6:8.1f} MB  {path.name}" for path in files]
    return [f"{out}", *lines, f"try it: python {out / READER[0].name} PHOTO"]


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="a new or empty folder, or an earlier export")
    parser.add_argument("--encoder", default=APP, help="whose vectors are compared: one of `encoders` in params.yaml")
    args = parser.parse_args()
    with one_message():
        content = load_params()
        out = args.out or Path("export") / str(lookup(content, "profile"))
        print("\n".join(summary(export(out, args.encoder, content))))
