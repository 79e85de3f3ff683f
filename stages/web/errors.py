"""Errors of the page as answers: a status and one line of text for a person, without paths of this machine."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect

from stages.core.errors import StageError
from stages.core.names import plain
from stages.web.incoming import Refused
from stages.web.work import Busy

log = logging.getLogger(__name__)


def answer_errors(app: FastAPI) -> None:
    """Answer each error with a status and one line of text."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return PlainTextResponse(plain(error.message), error.status)

    @app.exception_handler(StageError)
    async def bad(_: Request, error: StageError) -> Response:
        return PlainTextResponse(plain(str(error)), 422)

    @app.exception_handler(OSError)
    async def disk(_: Request, error: OSError) -> Response:
        log.error(f"{error.filename or 'the wardrobe'}: {error.strerror or error}")
        return PlainTextResponse(f"The wardrobe cannot be read or written: {error.strerror or 'an error'}.", 500)

    @app.exception_handler(RequestValidationError)
    async def unfit(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return PlainTextResponse(plain(f"{first['loc'][-1]}: {first['msg']}."), 422)

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return PlainTextResponse("Too many searches wait. Try again in a few seconds.", 503, {"retry-after": "3"})

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)
