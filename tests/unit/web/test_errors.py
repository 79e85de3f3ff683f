"""Errors of the page: each has a status and one line that a person can read."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stages.core.errors import StageError
from stages.web.errors import answer_errors
from stages.web.incoming import Refused
from stages.web.work import Busy


def answer(error):
    app = FastAPI()
    answer_errors(app)

    @app.get("/")
    async def fail(start: int = 0):
        raise error

    return TestClient(app)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Refused(404, "There is no such garment."), 404, "There is no such garment."),
        (StageError("look.jpg: not an image"), 422, "look.jpg: not an image"),
        (OSError(28, "No space left on device", "/home/me/files"), 500, "No space left on device"),
        (Busy(), 503, "Try again"),
    ],
)
def test_an_error_has_its_status_and_one_line(error, status, said):
    response = answer(error).get("/")
    assert response.status_code == status
    assert said in response.text and "\n" not in response.text and "/home" not in response.text


def test_a_busy_page_says_when_to_come_back():
    assert answer(Busy()).get("/").headers["retry-after"] == "3"


def test_a_bad_value_is_named():
    response = answer(None).get("/?start=many")
    assert response.status_code == 422 and response.text.startswith("start: ")
