"""Decode, check and encode images; all of it on PIL, whose bytes are the same on every machine."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

# A crop or a repaired image is written once and read many times: above 92 the size doubles for
# differences no network sees; 4:4:4 keeps the colour of thin stripes.
JPEG_QUALITY = 92

_EXIF_ORIENTATION = 0x0112


def decode(data: bytes) -> tuple[Image.Image, list[str]]:
    """An upright RGB image, with the names of the repairs that were needed.

    Transparent pixels become white, as a shop would show them.

    Raises:
        OSError, ValueError, SyntaxError: when the bytes are not a whole image.
    """
    repairs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of palette transparency, which is handled here
        image = Image.open(io.BytesIO(data))
        image.load()
        if image.format != "JPEG":
            repairs.append("format")
        if image.getexif().get(_EXIF_ORIENTATION, 1) not in (0, 1):
            image = ImageOps.exif_transpose(image)
            repairs.append("exif_rotation")
        if image.mode != "RGB":
            repairs.append("mode")
            if "A" in image.mode or "transparency" in image.info:
                rgba = image.convert("RGBA")
                image = Image.new("RGB", rgba.size, "white")
                image.paste(rgba, mask=rgba.getchannel("A"))
            else:
                image = image.convert("RGB")
    return image, repairs


def encode_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes without metadata."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def open_rgb(data: bytes) -> Image.Image:
    """An image from a shard, which ingest has already verified."""
    image = Image.open(io.BytesIO(data))
    return image if image.mode == "RGB" else image.convert("RGB")


def pixels(data: bytes) -> np.ndarray:
    """uint8 array [height, width, 3] (RGB) of an image from a shard."""
    return np.asarray(open_rgb(data))


def square(image: Image.Image, size: int) -> Image.Image:
    """The image resized to ``size`` x ``size``, centred on white so that its proportions stay."""
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(resized, ((size - width) // 2, (size - height) // 2))
    return canvas
