"""Find the garments of photos with the networks in this folder. It needs only onnxruntime, pillow and numpy.

    python reader.py PHOTO [PHOTO ...] [--vectors]

prints a line of JSON for each garment. In Python:

    from reader import Reader, match
    reader = Reader("path/to/this/folder")
    garments = reader.read("look.jpg")
    positions, similarities = match(vectors_of_queries, vectors_of_gallery, top=5, metric=reader.metric)

`seamline export` wrote this folder; pipeline.json has the settings. Each step gives the same pixels and boxes as
Seamline itself, and the same vectors except for the rounding of onnxruntime. Exit status: 2 if a photo or the folder
cannot be read, else 0.
"""

import argparse
import hashlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING or __package__:  # in the project
    from stages.export import reader_boxes
else:  # in an exported folder
    import reader_boxes

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
ORIENTATION, TURN = 0x0112, Image.Transpose  # the EXIF tag
TURNS = {2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM, 5: TURN.TRANSPOSE, 6: TURN.ROTATE_270,
         7: TURN.TRANSVERSE, 8: TURN.ROTATE_90}  # fmt: skip
DRAFT = 1.5  # a large JPEG is decoded at the smallest size that is this many times as large as the result
NOTHING_FOUND = "none"  # class of a whole photo in which no detector found anything
Box = tuple[int, int, int, int]
Array = np.ndarray


class ReaderError(Exception):
    """A photo or a folder that cannot be read. The message says what was found and what to do."""


@dataclass(frozen=True)
class Attribute:
    """The most probable class of a head; ``sure`` is false below ``unsure_below`` of pipeline.json."""

    name: str
    confidence: float
    sure: bool


@dataclass(frozen=True)
class Garment:
    """One garment of a photo.

    Attributes:
        superclass: of the detection; "none" if nothing was detected and the garment is the whole photo.
        confidence, box: of the detection, in pixels of the upright photo (x1, y1, x2, y2); None for a whole photo.
        attributes: head -> its most probable class.
        vector: float32 [d]; of length 1 where the metric is cosine.
    """

    superclass: str
    confidence: float | None
    box: Box | None
    attributes: dict[str, Attribute]
    vector: Array


def decode(data: bytes) -> Image.Image:
    """A photo, upright and RGB; transparent pixels become white.

    Raises:
        ReaderError: the bytes are no complete image of a supported format.
    """
    if data[4:8] == b"ftyp" and "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener

            register_heif_opener()
        except ImportError:
            pass  # AVIF files begin in the same way, and Pillow reads them
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
            image.load()
        except (UnidentifiedImageError, ImportError):
            phone = " (HEIC: pip install pillow-heif)" if data[4:8] == b"ftyp" else ""
            raise ReaderError(f"not an image of a kind that is read{phone}. Save it as JPEG or PNG.") from None
        except Exception as error:  # damaged files make Pillow raise whatever their parsing stumbles on
            raise ReaderError(f"a damaged image ({type(error).__name__}: {error}).") from None
        try:
            turn = TURNS.get(int(image.getexif().get(ORIENTATION, 1)))
        except Exception:
            turn = None  # damaged tags: as stored
        return _rgb(image if turn is None else image.transpose(turn))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow's own conversion clips
        deep = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return Image.fromarray(deep.astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def resized(stored: io.BytesIO, width: int, height: int, fit: str) -> Image.Image:
    """A JPEG crop at ``width`` x ``height``: ``pad`` on white, ``cover`` with its middle, or ``stretch``."""
    image = Image.open(stored)
    full, size = image.size, (width, height)
    scales = width / full[0], height / full[1]
    if fit != "stretch":
        scales = 2 * ((max if fit == "cover" else min)(scales),)
    box: tuple[float, float, float, float] = (0, 0, *full)
    if fit == "pad":
        size = max(1, round(full[0] * scales[0])), max(1, round(full[1] * scales[1]))
    else:
        wide, high = (min(side, round(goal / scale)) for side, goal, scale in zip(full, size, scales, strict=True))
        left, top = (full[0] - wide) // 2, (full[1] - high) // 2
        box = left, top, left + wide, top + high
    goals = [max(1, round(side * scale * DRAFT)) for side, scale in zip(full, scales, strict=True)]
    if drafted := image.draft(None, (goals[0], goals[1])):
        reduced = drafted[1][2] / full[0]
        box = box[0] * reduced, box[1] * reduced, box[2] * reduced, box[3] * reduced
    shown = image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if size == (width, height):
        return shown
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(shown, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def match(queries: Array, gallery: Array, top: int = 5, metric: str = "cosine") -> tuple[Array, Array]:
    """The most similar vectors of a gallery, best first: their positions [n, k] and similarities [n, k].

    Args:
        queries, gallery: vectors [n, d] and [m, d] of ``Garment.vector``.
        top: k, at most m.
        metric: ``Reader.metric``; with euclidean the similarity is the negative distance.
    """
    queries, gallery = np.atleast_2d(queries), np.atleast_2d(gallery)
    if metric == "cosine":
        scores = unit(queries) @ unit(gallery).T
    else:
        scores = -np.sqrt(np.square(queries[:, None].astype(np.float64) - gallery[None]).sum(axis=2))
    places = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return places, np.take_along_axis(scores, places, axis=1)


def unit(vectors: Array) -> Array:
    """Vectors [n, d] scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class Reader:
    """The networks of an exported folder.

    Attributes:
        pipeline: content of pipeline.json.
        metric: how vectors are compared: cosine or euclidean.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, threads: int = 0) -> None:
        """Load settings and networks; each network uses so many ``threads``, or with 0 one for each core.

        Raises:
            ReaderError: a file is missing, or is not the one that pipeline.json states.
        """
        self.folder = Path(folder)
        try:
            self.pipeline: dict[str, Any] = json.loads(self._bytes("pipeline.json"))
        except ValueError as error:
            raise ReaderError(f"{folder}/pipeline.json: no JSON ({error}). Copy the folder again.") from None
        self.metric: str = self.pipeline["encoder"]["metric"]
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        networks = [*self.pipeline["detectors"], self.pipeline["classifier"], self.pipeline["encoder"]]
        if "salient" in self.pipeline:
            networks.append(self.pipeline["salient"])
        hashes = {network["file"]: network["sha256"] for network in networks}
        with ThreadPoolExecutor() as pool:  # each takes a tenth of a second
            self._networks = dict(zip(hashes, pool.map(self._load, hashes, hashes.values()), strict=True))

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise ReaderError(f"{self.folder / name}: {error.strerror}. Copy the whole exported folder.") from None

    def _load(self, name: str, stated: str) -> onnxruntime.InferenceSession:
        data = self._bytes(name)
        if hashlib.sha256(data).hexdigest() != stated:
            raise ReaderError(f"{self.folder / name}: not the file that pipeline.json states. Copy the folder again.")
        return onnxruntime.InferenceSession(data, self._options, providers=["CPUExecutionProvider"])

    def read(self, photo: str | Path | bytes) -> list[Garment]:
        """The garments of a photo (its path or its bytes), most confident first; the whole photo if none is detected.

        Raises:
            ReaderError: the photo is missing, is not an image, or has too few pixels.
        """
        name = "" if isinstance(photo, bytes) else f"{photo}: "
        try:
            image = decode(photo if isinstance(photo, bytes) else Path(photo).read_bytes())
        except OSError as error:
            raise ReaderError(f"{name}{error.strerror}.") from None
        except ReaderError as error:
            raise ReaderError(f"{name}{error}") from None
        settings, garments = self.pipeline["crop"], []
        mask = self._mask(image) if "salient" in self.pipeline else None
        used = mask if settings["background"] == "plain" else None
        for superclass, confidence, box in self._detected(image, mask, used):
            crop = reader_boxes.crop_of(image, box, settings, used)
            if crop is not None:
                x1, y1, x2, y2 = map(round, box)
                garments.append(self._garment(superclass, confidence, (x1, y1, x2, y2), crop))
        if not garments:
            whole = reader_boxes.crop_of(image, None, settings)
            if whole is None:
                raise ReaderError(f"{name}{image.width}x{image.height} pixels are too few to see a garment in.")
            garments.append(self._garment(NOTHING_FOUND, None, None, whole))
        return garments

    def _mask(self, image: Image.Image) -> Array:
        settings = self.pipeline["salient"]
        network = self._networks[settings["file"]]
        given = {network.get_inputs()[0].name: reader_boxes.mask_input(image, settings["side"])}
        return np.round(network.run(None, given)[0][0, 0] * 255).astype(np.uint8)

    def _detected(self, image: Image.Image, mask: Array | None, used: Array | None) -> list[reader_boxes.Detected]:
        """Class, confidence and box of each garment; of boxes that overlap too much the surest alone."""
        detected = self._by_detectors(image) if mask is None else self._salient(image, mask, used)
        detected.sort(key=lambda row: -row[1])
        kept = []
        while detected:
            kept.append(detected[0])
            shares = reader_boxes.overlap(np.array(detected[0][2]), np.array([row[2] for row in detected]))
            detected = [
                row for row, share in zip(detected[1:], shares[1:], strict=True) if share <= self.pipeline["nms"]["iou"]
            ]
        return kept

    def _salient(self, image: Image.Image, mask: Array, used: Array | None) -> list[reader_boxes.Detected]:
        """A box around each salient region, with the class that the classifier sees in it."""
        settings, detected = self.pipeline["salient"], []
        for box in reader_boxes.regions(mask, settings, *image.size):
            crop = reader_boxes.crop_of(image, box, self.pipeline["crop"], used)
            if crop is None:
                continue
            classifier, scores = self.pipeline["classifier"], dict[str, float]()
            shares = self._shares("type", self._run(classifier, self._stored(crop), NOTHING_FOUND))
            for name, share in zip(classifier["heads"]["type"], shares.tolist(), strict=True):
                if (superclass := settings["superclass_of"].get(name)) is not None:
                    scores[superclass] = scores.get(superclass, 0.0) + share
            best = max(scores, key=lambda name: scores[name])
            detected.append((best, scores[best], box))
        return [row for row in reader_boxes.with_pairs(detected, settings) if row[1] >= self.pipeline["confidence"]]

    def _by_detectors(self, image: Image.Image) -> list[reader_boxes.Detected]:
        pixels, nms = np.asarray(image), self.pipeline["nms"]
        detected: list[reader_boxes.Detected] = []
        for detector in self.pipeline["detectors"]:
            square, (wide, high, left, top) = reader_boxes.letterbox(pixels, detector["image_size"])
            (output,) = self._networks[detector["file"]].run(None, {"image": square.transpose(2, 0, 1)[None]})
            boxes = reader_boxes.suppressed(output[0], self.pipeline["confidence"], nms)
            place, scale = np.array([[left, top] * 2, [wide, high] * 2], np.float32)
            corners = ((boxes[:, :4] - place) / scale).clip(0, [image.width, image.height, image.width, image.height])
            rows = zip(boxes[:, 5].astype(int), boxes[:, 4].tolist(), corners.tolist(), strict=True)
            own = [(detector["classes"][index], score, box) for index, score, box in rows]
            detected += sorted(own, key=lambda row: (-row[1], row[2][0], row[2][1]))
        return detected

    def _garment(self, superclass: str, confidence: float | None, box: Box | None, crop: Image.Image) -> Garment:
        classifier, encoder = self.pipeline["classifier"], self.pipeline["encoder"]
        stored = self._stored(crop)
        outputs = self._run(classifier, stored, superclass)
        unsure, attributes = self.pipeline["unsure_below"], {}
        for head, names in classifier["heads"].items():
            shares = self._shares(head, outputs)
            best = int(shares.argmax())
            attributes[head] = Attribute(names[best], float(shares[best]), bool(shares[best] >= unsure))
        if encoder["file"] != classifier["file"]:
            outputs = self._run(encoder, stored, superclass)
        vector = unit(outputs["embedding"])[0] if self.metric == "cosine" else outputs["embedding"][0]
        return Garment(superclass, confidence, box, attributes, vector)

    def _stored(self, crop: Image.Image) -> io.BytesIO:
        """A crop as a JPEG: the networks learned from crops that were stored."""
        stored = io.BytesIO()
        crop.save(stored, "JPEG", quality=self.pipeline["crop"]["jpeg_quality"], subsampling=0)
        return stored

    def _shares(self, head: str, outputs: dict[str, Array]) -> Array:
        """Calibrated probabilities [classes] of a head."""
        logits = outputs[f"logits_{head}"][0].astype(np.float64) / self.pipeline["classifier"]["temperatures"][head]
        shares = np.exp(logits - logits.max())
        return shares / shares.sum()

    def _run(self, settings: dict[str, Any], stored: io.BytesIO, superclass: str) -> dict[str, Array]:
        """Output name -> value of the classifier or the encoder for a crop."""
        size, network = settings["image"], self._networks[settings["file"]]
        picture = np.asarray(resized(stored, size["width"], size["height"], size["fit"]))
        given = {"image": picture.transpose(2, 0, 1)[None]}
        if "detected" in [value.name for value in network.get_inputs()]:
            classes = settings["detected_classes"]
            number = classes.index(superclass) if superclass in classes else len(classes)
            given["detected"] = np.array([number], np.int64)
        return dict(zip([value.name for value in network.get_outputs()], network.run(None, given), strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--vectors", action="store_true", help="print the vectors too")
    args = parser.parse_args(arguments)
    reader, status = None, 0
    for photo in args.photos:
        try:
            reader = reader or Reader()
            for garment in reader.read(photo):
                row = {"photo": photo, **vars(garment), "vector": garment.vector.tolist()}
                row["attributes"] = {head: vars(attribute) for head, attribute in garment.attributes.items()}
                print(json.dumps({key: value for key, value in row.items() if args.vectors or key != "vector"}))
        except ReaderError as error:
            print(f"ERROR {error}", file=sys.stderr)
            status = 2
            if reader is None:
                break
    return status


if __name__ == "__main__":
    sys.exit(main())
