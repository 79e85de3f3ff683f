"""What a visitor sends: a photo or JSON; how much of it is read, and what is refused."""

import asyncio
from typing import Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.contracts.images import TooManyPixels, decode, encode_jpeg
from stages.core.names import plain

MEGABYTE = 1_000_000
MAX_UPLOAD = 25 * MEGABYTE  # bytes of a photo; phones' have 2 to 15 MB
MAX_PIXELS = 64 * MEGABYTE  # of a photo; decoded, each takes 3 bytes, and up to 10 for a moment
MAX_JSON = 20_000  # bytes of a request without a photo
SECONDS = 60  # a request must arrive within this time
SHOWN = 1280  # pixels of the longest side of a photo that was sent, as it is shown

M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """A request that is answered with an HTTP status and a message for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Content(BaseModel):
    """The JSON of a request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Search(Content):
    """Which garment of a photo to search with, and which garments of the wardrobe compete.

    Attributes:
        superclass: ``views.SAME_CLASS``, ``views.EVERY_CLASS``, or the only superclass that competes.
        attributes: head -> class; an empty class excludes nothing.
    """

    garment: int = Field(ge=0)
    mode: Literal["nearest", "ideas"] = "nearest"
    superclass: str = Field(default="", max_length=100)
    attributes: dict[str, str] = Field(default={}, max_length=50)


class Correction(Content):
    """A garment as a person corrects it.

    Attributes:
        garment: number of the garment in the photo; None adds a garment.
        box: in pixels of the photo; None: the whole photo.
    """

    garment: int | None = Field(ge=0)
    box: tuple[int, int, int, int] | None
    superclass: str = Field(max_length=100)


class Folder(Content):
    """A folder to add."""

    folder: str = Field(max_length=4096)


async def read_body(request: Request, most: int, what: str) -> bytes:
    """The bytes of a request.

    Raises:
        Refused: more than ``most`` bytes, or too slow.
    """
    pieces, size = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size <= most:
                    pieces.append(piece)
                elif size > 4 * most:  # below, read on: a browser reads no answer before it has sent all
                    break
    except TimeoutError:
        raise Refused(408, f"The {what} did not arrive within {SECONDS} seconds. Send it again.") from None
    if size > most:
        raise Refused(413, f"The {what} is larger than {most / MEGABYTE:g} MB. Send a smaller one.")
    return b"".join(pieces)


async def read_json(request: Request, model: type[M]) -> M:
    """The JSON of a request, as a model.

    Raises:
        Refused: it is no JSON of that form.
    """
    try:
        return model.model_validate_json(await read_body(request, MAX_JSON, "request"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise Refused(422, f"{place or 'request'}: {first['msg']}.") from None


def smaller(data: bytes) -> bytes:
    """A photo as a JPEG that a browser shows, with sides of at most ``SHOWN`` pixels.

    Raises:
        Refused: it is no picture, or has too many pixels.
    """
    try:
        image, _ = decode(data, MAX_PIXELS)
    except TooManyPixels as error:
        raise Refused(413, f"The photo has {error}. Send it smaller.") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise Refused(422, f"The photo cannot be read: {plain(str(error)).splitlines()[0]}.") from None
    image.thumbnail((SHOWN, SHOWN), reducing_gap=2.0)
    return encode_jpeg(image, 85)
