"""Crops that differ by colour, and a backbone small enough for tests."""

import numpy as np
import pytest
import torch
from PIL import Image

from stages.core.images import encode_jpeg


@pytest.fixture(scope="session")
def crops():
    """Twelve JPEG crops of six colours."""
    draw = np.random.default_rng(0)
    colors = draw.integers(0, 255, (6, 3))
    return [encode_jpeg(Image.new("RGB", (40, 60), tuple(map(int, colors[number % 6])))) for number in range(12)]


@pytest.fixture
def cpu(monkeypatch):
    """The CPU with one thread, whatever the machine has, and one seed. Threads cost tiny networks more than they give."""
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
