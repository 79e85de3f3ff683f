"""The page over a wardrobe without a model, and a client that asks it."""

import io

import pytest
from fake_wardrobe import FakeWardrobe
from fastapi.testclient import TestClient
from PIL import Image

from stages.web.guard import hosts_allowed
from stages.web.site import create

ADDRESS = "http://127.0.0.1:8300"


@pytest.fixture
def wardrobe():
    return FakeWardrobe()


@pytest.fixture
def visit(wardrobe):
    """A client of the page, by what may be changed."""
    opened = []

    def start(changes=True):
        client = TestClient(create(wardrobe, hosts_allowed("127.0.0.1", []), changes), base_url=ADDRESS)
        opened.append(client)
        client.__enter__()
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(visit):
    return visit()


@pytest.fixture
def photo():
    """A PNG of 100 x 120 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (100, 120), "blue").save(stream, "PNG")
    return stream.getvalue()
