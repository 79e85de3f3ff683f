"""Flip test-time augmentation: a picture and its mirror image are looked at together, so that it no longer matters
which way a garment faces. The mirror image is the decoded picture flipped (``Pixels`` says how exactly)."""

import numpy as np
import torch


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """The mirror images of pictures [n, 3, height, width]."""
    return images.flip(3)


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
