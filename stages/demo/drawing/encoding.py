"""Image files with fixed encoder settings."""

from __future__ import annotations

import io

from PIL import Image

JPEG_QUALITY = 90  # above the range that training augments with (40-70), so that augmentation still changes something
NEAR_DUPLICATE_QUALITY = 75


def jpeg_bytes(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The image as JPEG; full color resolution, no optional encoder passes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def turned_jpeg_bytes(image: Image.Image) -> bytes:
    """The image as a camera held upright stores it: pixels turned by 90 degrees, and an EXIF tag that says so."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # the tag `Orientation`: to be shown turned by 90 degrees clockwise
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, exif=exif)
    return buffer.getvalue()


def near_duplicate_bytes(image: Image.Image) -> bytes:
    """The same picture as another shop would publish it: two gray levels brighter, at another JPEG quality."""
    return jpeg_bytes(image.point([min(255, level % 256 + 2) for level in range(768)]), NEAR_DUPLICATE_QUALITY)


def png_bytes(image: Image.Image) -> bytes:
    """The image as PNG, stored rather than compressed: deflate's output may depend on the processor."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()
