"""Photos for the commands that search them."""

import pytest
from small_wardrobe import photo


@pytest.fixture
def clothes(tmp_path):
    for name, color in (("red.jpg", (200, 20, 20)), ("pink.jpg", (220, 90, 90)), ("blue.jpg", (20, 20, 200))):
        photo(tmp_path / "clothes" / name, color)
    return tmp_path / "clothes"
