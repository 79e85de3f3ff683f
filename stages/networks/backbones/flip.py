"""Flip test-time augmentation: a picture and its mirror image are looked at together, so that it no longer matters
which way a garment faces. It works on the encoded picture, so an encoder needs to know nothing of it."""

import io

import numpy as np
from PIL import Image

from stages.contracts.images import open_rgb


def mirror(data: bytes) -> bytes:
    """The mirror image of an encoded picture, as BMP: JPEG a second time would change its pixels."""
    stream = io.BytesIO()
    open_rgb(data).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(stream, "BMP")
    return stream.getvalue()


def mean_vectors(plain: np.ndarray, mirrored: np.ndarray, metric: str) -> np.ndarray:
    """The mean of each picture's two vectors, float32 [n, d].

    Under ``cosine`` only directions count: both are brought to unit length before, so that the longer one does not
    decide, and so is the mean (a zero vector stays zero). Under ``euclidean`` it is the plain mean.
    """
    if metric != "cosine":
        return ((plain.astype(np.float64) + mirrored) / 2).astype(np.float32)
    return _unit(_unit(plain) + _unit(mirrored)).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
