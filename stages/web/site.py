"""The page's addresses: what each reads, does and answers. Every answer is HTML made by a template, or a picture.

Photos are sent as they are, as the body of a request, so that nothing has to take a form apart. Pictures are named by
the id of a garment or of a photo that was sent, never by a path.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from stages.app.wardrobe import Wardrobe
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError
from stages.core.names import plain
from stages.web import incoming, views
from stages.web.build import MOST_SHOWN, Build, folder_of
from stages.web.guard import Guard
from stages.web.incoming import Correction, Folder, Refused, Search, read_body, read_words, smaller
from stages.web.uploads import Upload, Uploads
from stages.web.work import Busy, Cache, WorkQueue

log = logging.getLogger(__name__)

AT_ONCE = 12  # photos that are being sent, in memory until they are read
WAITING = 32  # searches that run or wait; a later one is told to come again
UPLOADS = (64, 200 * incoming.MEGABYTE)  # photos that are held
PICTURES = 64 * incoming.MEGABYTE  # of small pictures that are held
SIDES = (256, 1024)  # pixels of a picture's longest side
ON_A_PAGE = 48  # garments of the wardrobe
MATCHES = 12
FOREVER = "private, max-age=31536000, immutable"  # a picture of that id never changes


class Site:
    """A wardrobe, what is held of its visitors, and the answers."""

    def __init__(self, wardrobe: Wardrobe, changes: bool) -> None:
        """``changes``: whether a visitor may change the wardrobe."""
        self.wardrobe, self.changes = wardrobe, changes
        self.models, self.pictures = WorkQueue(1, WAITING), WorkQueue(1, 500)
        self.build = Build(wardrobe, lambda: self.models.held)
        self.uploads, self.cache = Uploads(*UPLOADS), Cache(PICTURES)
        self.templates, self.files = views.environment(), views.own_files()
        self.sending = 0

    def html(self, template: str, **values: Any) -> HTMLResponse:
        """A page, or a part of one."""
        text = self.templates.get_template(template).render(changes=self.changes, **values)
        return HTMLResponse(text, headers={"cache-control": "no-store"})

    def upload(self, photo_id: str) -> Upload:
        """A photo that was sent.

        Raises:
            Refused: it is not held any more.
        """
        if upload := self.uploads.get(photo_id):
            return upload
        raise Refused(410, "This photo is not held any more: only the last ones are. Choose it again.")

    def may_change(self) -> None:
        """Raises:
        Refused: visitors may not change the wardrobe.
        """
        if not self.changes:
            raise Refused(
                403, "This page may be reached from other machines, so it changes nothing. "
                "Start it with --allow-changes if its visitors may change the wardrobe."
            )  # fmt: skip

    # ---- the wardrobe

    def place(self, path: Path) -> str:
        """A path as a visitor sees it: whoever may not change the wardrobe does not see how the disk is organized."""
        return str(path) if self.changes else path.name

    def state(self) -> dict[str, Any]:
        """What the part about the wardrobe shows."""
        progress = self.build.progress
        broken = progress.change.broken if progress.change else []
        return {
            "garments": self.wardrobe.count(),
            "roots": [self.place(path) for path in self.wardrobe.roots()],
            "progress": progress,
            "said": replace(progress.change, broken=[]).said() if progress.change else [],
            "broken": [(self.place(row.path), row.reason) for row in broken[:MOST_SHOWN]],
            "more_broken": max(0, len(broken) - MOST_SHOWN),
        }

    def narrowed(self) -> dict[str, Any]:
        """What the wardrobe can be narrowed by."""
        facets = self.wardrobe.facets() if self.wardrobe.count() else {"superclass": {}}
        return {"classes": views.class_choices(facets), "heads": views.choices(facets), "first": views.FIRST_HEADS}

    def items(self, superclass: str, attributes: dict[str, str], start: int) -> dict[str, Any]:
        """Garments of the wardrobe from a place on."""
        wanted = views.filters(superclass, self.known(attributes))
        count = self.wardrobe.count(wanted)
        rows = self.wardrobe.items(wanted, start, ON_A_PAGE)
        after = start + len(rows)
        return {"cards": [views.card(item) for item in rows], "count": count, "start": start,
                "next": after if rows and after < count else None}  # fmt: skip

    def known(self, attributes: dict[str, str]) -> dict[str, str]:
        """Selections of heads that the classifier has.

        Raises:
            Refused: there is no such head.
        """
        if strange := set(attributes) - set(self.wardrobe.models.heads):
            raise Refused(422, f"{plain(min(strange))}: no such attribute.")
        return attributes

    # ---- the photo that was sent

    def looked_at(self, name: str, data: bytes) -> Upload:
        """A photo with its garments.

        Raises:
            Refused: it is no picture, or has too many pixels.
        """
        shown = smaller(data)
        look = self.wardrobe.look(data)
        size = look.width, look.height
        return self.uploads.keep(Upload(name, data, shown, look.sha256, size, list(look.garments)))

    def answer(self, upload: Upload, search: Search) -> dict[str, Any]:
        """What the wardrobe has for a garment of a photo.

        Raises:
            Refused: the photo has no such garment.
        """
        if search.garment >= len(upload.garments):
            raise Refused(422, f"garment: the photo has {len(upload.garments)}.")
        asked = upload.garments[search.garment]
        wanted = views.filters(search.superclass, self.known(search.attributes))
        find = self.wardrobe.ideas if search.mode == "ideas" else self.wardrobe.matches
        matches = find(asked, MATCHES, wanted, search.superclass == views.EVERY_CLASS, upload.sha256)
        return {
            "asked": views.garment(search.garment, asked), "attributes": views.attribute_rows(asked.attributes),
            "matches": [views.matched(match) for match in matches], "mode": search.mode,
            "narrow": any(search.attributes.values()) or search.superclass != views.SAME_CLASS,
            "empty": not self.wardrobe.count(),
        }  # fmt: skip

    def result(self, upload: Upload, search: Search) -> dict[str, Any]:
        """The whole part about a photo."""
        return {
            "photo": upload, "number": search.garment, "search": search,
            "garments": [views.garment(number, asked) for number, asked in enumerate(upload.garments)],
            "superclasses": [views.Choice(name, views.class_name(name)) for name in self.wardrobe.models.superclasses],
            **self.narrowed(), **self.answer(upload, search),
        }  # fmt: skip


def create(wardrobe: Wardrobe, hosts: Iterable[str], changes: bool) -> FastAPI:
    """The application.

    Args:
        hosts: to which the page answers (``guard.hosts_allowed``).
        changes: whether its visitors may change the wardrobe.
    """
    site = Site(wardrobe, changes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        warming = asyncio.create_task(warm(site))  # the first visitor need not wait for it
        yield
        warming.cancel()
        site.build.stop(wait=10)
        site.models.close()
        site.pictures.close()

    app = FastAPI(title="Seamline", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.site = site
    app.add_middleware(Guard, hosts=hosts)
    answer_errors(app)
    add_wardrobe(app, site)
    add_photos(app, site)
    return app


async def warm(site: Site) -> None:
    """Make the models ready; where they are damaged, the first photo says so."""
    with suppress(StageError):
        await site.models.run(site.wardrobe.models.warm)


def answer_errors(app: FastAPI) -> None:
    """Give errors a status and one line of text."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return PlainTextResponse(plain(error.words), error.status)

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


def add_wardrobe(app: FastAPI, site: Site) -> None:
    """The page itself, and all addresses about the wardrobe."""

    @app.get("/")
    async def page() -> Response:
        def values() -> dict[str, Any]:
            return {"max_upload": incoming.MAX_UPLOAD, **site.state(), **site.narrowed(), **site.items("", {}, 0)}

        return site.html("page.html.j2", **await run_in_threadpool(values))

    @app.get("/files/{name}")
    async def file(name: str) -> Response:
        if name not in site.files:
            raise Refused(404, "There is no such file.")
        return Response(site.files[name], media_type=views.FILES[name], headers={"cache-control": FOREVER})

    @app.get("/wardrobe")
    async def state() -> Response:
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.get("/narrow")
    async def narrow() -> Response:
        return site.html("narrow.html.j2", prefix="w", **await run_in_threadpool(site.narrowed))

    @app.post("/wardrobe/folders")
    async def add(request: Request) -> Response:
        site.may_change()
        wanted = await read_words(request, Folder)
        await run_in_threadpool(lambda: site.build.add(folder_of(wanted.folder)))
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.post("/wardrobe/look-again")
    async def look_again() -> Response:
        site.may_change()
        site.build.look_again()
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.post("/wardrobe/stop")
    async def stop() -> Response:
        site.may_change()
        site.build.stop()
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.get("/items")
    async def items(request: Request, start: Annotated[int, Query(ge=0, le=10**9)] = 0) -> Response:
        asked = dict(request.query_params)
        asked.pop("start", None)
        superclass = asked.pop("superclass", "")
        return site.html("items.html.j2", **await run_in_threadpool(site.items, superclass, asked, start))

    @app.get("/items/{item_id}")
    async def item(item_id: str) -> Response:
        garment = await run_in_threadpool(site.wardrobe.item, item_id)
        if garment is None:
            raise Refused(404, "The wardrobe has no such garment any more.")
        rows = views.attribute_rows(garment.attributes)
        paths = [site.place(path) for path in garment.paths]
        return site.html("item.html.j2", item=garment, card=views.card(garment), attributes=rows, paths=paths)

    @app.get("/items/{item_id}/picture")
    async def picture(item_id: str, side: int = SIDES[0], whole: bool = False) -> Response:
        if side not in SIDES:
            raise Refused(422, f"side: expected {' or '.join(map(str, SIDES))}.")
        key = (item_id, side, whole)
        data = site.cache.get(key)
        if data is None:
            data = await site.pictures.run(drawn(site, item_id, side, whole))
        return Response(data, media_type="image/jpeg", headers={"cache-control": FOREVER})


def drawn(site: Site, item_id: str, side: int, whole: bool) -> Callable[[], bytes]:
    """What draws the picture of a garment, and keeps it."""

    def draw() -> bytes:
        item = site.wardrobe.item(item_id)
        if item is None:
            raise Refused(404, "The wardrobe has no such garment any more.")
        try:
            data = site.wardrobe.picture(item, side, whole)
        except StageError:
            raise Refused(410, "The file of this photo is gone, or cannot be read any more.") from None
        site.cache.put((item_id, side, whole), data)
        return data

    return draw


def add_photos(app: FastAPI, site: Site) -> None:
    """All addresses about a photo that is sent."""

    @app.post("/photos")
    async def send(request: Request, name: Annotated[str, Query(max_length=1000)] = "photo") -> Response:
        if site.sending >= AT_ONCE:
            raise Busy
        site.sending += 1
        try:
            data = await read_body(request, incoming.MAX_UPLOAD, "photo")
            if not data:
                raise Refused(422, "The photo is an empty file.")
            upload = await site.models.run(lambda: site.looked_at(name, data))
        finally:
            site.sending -= 1
        search = Search(garment=0)
        return site.html("result.html.j2", **await run_in_threadpool(site.result, upload, search))

    @app.get("/photos/{photo_id}/picture")
    async def photo(photo_id: str) -> Response:
        headers = {"cache-control": FOREVER}
        return Response(site.upload(photo_id).shown, media_type="image/jpeg", headers=headers)

    @app.post("/photos/{photo_id}/search")
    async def search(photo_id: str, request: Request) -> Response:
        upload, wanted = site.upload(photo_id), await read_words(request, Search)
        return site.html("found.html.j2", photo=upload, **await run_in_threadpool(site.answer, upload, wanted))

    @app.post("/photos/{photo_id}/garments")
    async def correct(photo_id: str, request: Request) -> Response:
        upload, wanted = site.upload(photo_id), await read_words(request, Correction)
        data, box, superclass = upload.data, wanted.box, wanted.superclass
        asked = await site.models.run(lambda: site.wardrobe.correct(data, box, superclass))
        number = upload.correct(wanted.garment, asked)
        search = Search(garment=number)
        return site.html("result.html.j2", **await run_in_threadpool(site.result, upload, search))

    @app.post("/photos/{photo_id}/keep")
    async def keep(photo_id: str) -> Response:
        site.may_change()
        upload = site.upload(photo_id)
        if site.build.progress.running:  # one at a time writes, and a folder may take an hour
            raise Refused(409, f"{site.build.progress.what} is being read. Add the photo when that is done.")
        named = Path(upload.name).suffix.lower() in IMAGE_SUFFIXES  # else what it holds decides: it has been read
        await run_in_threadpool(site.wardrobe.keep, upload.data, upload.name if named else "photo.jpg")
        upload.kept = True
        return site.html("kept.html.j2", photo=upload)
