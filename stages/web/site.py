"""The page's addresses: what each reads, does and answers. An answer is HTML from a template, or a picture.

A photo is sent as the body of a request, so that no form has to be parsed. The address of a picture contains the id of
a garment or of an uploaded photo, never a path.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from stages.app.wardrobe import Wardrobe
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError
from stages.core.names import plain
from stages.web import incoming, views
from stages.web.build import MOST_SHOWN, Build, folder_of
from stages.web.errors import answer_errors
from stages.web.guard import Guard
from stages.web.incoming import Correction, Folder, Refused, Search, read_body, read_json, smaller
from stages.web.uploads import Upload, Uploads
from stages.web.work import Busy, Cache, WorkQueue

log = logging.getLogger(__name__)

AT_ONCE = 12  # uploads at the same time; each is in memory until the models have read it
WAITING = 32  # searches that run or wait; any further one is refused
UPLOADS = (64, 200 * incoming.MEGABYTE)  # most uploaded photos in memory, and most bytes of them together
PICTURES = 64 * incoming.MEGABYTE  # most bytes of small pictures in memory
SIDES = (256, 1024)  # pixels of a picture's longest side
ON_A_PAGE = 48  # garments of the wardrobe
MATCHES = 12
FOREVER = "private, max-age=31536000, immutable"  # a picture of that id never changes


class Site:
    """A wardrobe, the photos that visitors uploaded, and the answers."""

    def __init__(self, wardrobe: Wardrobe, changes: bool) -> None:
        """``changes``: whether a visitor may change the wardrobe."""
        self.wardrobe, self.changes = wardrobe, changes
        self.models, self.pictures = WorkQueue(1, WAITING), WorkQueue(1, 500)
        self.build = Build(wardrobe, lambda: self.models.pending)
        self.uploads, self.cache = Uploads(*UPLOADS), Cache(PICTURES)
        self.templates, self.files = views.environment(), views.own_files()
        self.sending = 0

    def html(self, template: str, **values: Any) -> HTMLResponse:
        """A page, or a section of it."""
        text = self.templates.get_template(template).render(changes=self.changes, **values)
        return HTMLResponse(text, headers={"cache-control": "no-store"})

    def upload(self, photo_id: str) -> Upload:
        """An uploaded photo.

        Raises:
            Refused: it is not in memory any more.
        """
        if upload := self.uploads.get(photo_id):
            return upload
        raise Refused(410, "This photo is not in memory any more: only the last ones are. Choose it again.")

    def may_change(self) -> None:
        """Check that visitors may change the wardrobe.

        Raises:
            Refused: they may not.
        """
        if not self.changes:
            raise Refused(
                403, "This page may be reached from other machines, so it changes nothing. "
                "Start it with --allow-changes if its visitors may change the wardrobe."
            )  # fmt: skip

    # ---- the wardrobe

    def place(self, path: Path) -> str:
        """A path as a visitor sees it: the name alone for visitors who may not change the wardrobe."""
        return str(path) if self.changes else path.name

    def state(self) -> dict[str, Any]:
        """Values of the template ``state.html.j2``."""
        progress = self.build.progress
        broken = progress.change.broken if progress.change else []
        return {
            "garments": self.wardrobe.count(),
            "roots": [self.place(path) for path in self.wardrobe.roots()],
            "progress": progress,
            "lines": replace(progress.change, broken=[]).lines() if progress.change else [],
            "broken": [(self.place(row.path), row.reason) for row in broken[:MOST_SHOWN]],
            "more_broken": max(0, len(broken) - MOST_SHOWN),
        }

    def narrowed(self) -> dict[str, Any]:
        """Values of the template ``narrow.html.j2``: the classes and attributes to filter by."""
        facets = self.wardrobe.facets() if self.wardrobe.count() else {"superclass": {}}
        return {"classes": views.class_choices(facets), "heads": views.choices(facets), "first": views.FIRST_HEADS}

    def items(self, superclass: str, attributes: dict[str, str], start: int) -> dict[str, Any]:
        """Values of the template ``items.html.j2``: garments of the wardrobe from position ``start`` on."""
        wanted = views.filters(superclass, self.known(attributes))
        count = self.wardrobe.count(wanted)
        rows = self.wardrobe.items(wanted, start, ON_A_PAGE)
        after = start + len(rows)
        return {"cards": [views.card(item) for item in rows], "count": count, "start": start,
                "next": after if rows and after < count else None}  # fmt: skip

    def known(self, attributes: dict[str, str]) -> dict[str, str]:
        """The selected attributes, if the classifier has all their heads.

        Raises:
            Refused: there is no such head.
        """
        if strange := set(attributes) - set(self.wardrobe.models.heads):
            raise Refused(422, f"{plain(min(strange))}: no such attribute.")
        return attributes

    # ---- the uploaded photo

    def receive(self, name: str, data: bytes) -> Upload:
        """Find the garments of a photo, and keep both in memory.

        Raises:
            Refused: it is no picture, or has too many pixels.
        """
        shown = smaller(data)
        query = self.wardrobe.read_query(data)
        size = query.width, query.height
        return self.uploads.keep(Upload(name, data, shown, query.sha256, size, list(query.garments)))

    def answer(self, upload: Upload, search: Search) -> dict[str, Any]:
        """Values of the template ``matches.html.j2``: the matches of a garment of the photo.

        Raises:
            Refused: the photo has no such garment.
        """
        if search.garment >= len(upload.garments):
            raise Refused(422, f"garment: the photo has {len(upload.garments)}.")
        garment = upload.garments[search.garment]
        wanted = views.filters(search.superclass, self.known(search.attributes))
        find = self.wardrobe.ideas if search.mode == "ideas" else self.wardrobe.matches
        matches = find(garment, MATCHES, wanted, search.superclass == views.EVERY_CLASS, upload.sha256)
        return {
            "garment": views.garment(search.garment, garment), "attributes": views.attribute_rows(garment.attributes),
            "matches": [views.matched(match) for match in matches], "mode": search.mode,
            "narrow": any(search.attributes.values()) or search.superclass != views.SAME_CLASS,
            "empty": not self.wardrobe.count(),
        }  # fmt: skip

    def result(self, upload: Upload, search: Search) -> dict[str, Any]:
        """Values of the template ``result.html.j2``: the photo, its garments and the matches of one."""
        return {
            "photo": upload, "number": search.garment, "search": search,
            "garments": [views.garment(number, garment) for number, garment in enumerate(upload.garments)],
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
    """Load the models; if they are damaged, the first photo gets the error."""
    with suppress(StageError):
        await site.models.run(site.wardrobe.models.warm)


def add_wardrobe(app: FastAPI, site: Site) -> None:
    """Add the page itself, and the addresses about the wardrobe."""

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
        wanted = await read_json(request, Folder)
        await run_in_threadpool(lambda: site.build.add(folder_of(wanted.folder)))
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.post("/wardrobe/rescan")
    async def rescan() -> Response:
        site.may_change()
        site.build.rescan()
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.post("/wardrobe/stop")
    async def stop() -> Response:
        site.may_change()
        site.build.stop()
        return site.html("state.html.j2", **await run_in_threadpool(site.state))

    @app.get("/items")
    async def items(request: Request, start: Annotated[int, Query(ge=0, le=10**9)] = 0) -> Response:
        selected = dict(request.query_params)
        selected.pop("start", None)
        superclass = selected.pop("superclass", "")
        return site.html("items.html.j2", **await run_in_threadpool(site.items, superclass, selected, start))

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
    """A function that draws the picture of a garment and puts it into the cache."""

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
    """Add the addresses about uploaded photos."""

    @app.post("/photos")
    async def send(request: Request, name: Annotated[str, Query(max_length=1000)] = "photo") -> Response:
        if site.sending >= AT_ONCE:
            raise Busy
        site.sending += 1
        try:
            data = await read_body(request, incoming.MAX_UPLOAD, "photo")
            if not data:
                raise Refused(422, "The photo is an empty file.")
            upload = await site.models.run(lambda: site.receive(name, data))
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
        upload, wanted = site.upload(photo_id), await read_json(request, Search)
        return site.html("matches.html.j2", photo=upload, **await run_in_threadpool(site.answer, upload, wanted))

    @app.post("/photos/{photo_id}/garments")
    async def correct(photo_id: str, request: Request) -> Response:
        upload, wanted = site.upload(photo_id), await read_json(request, Correction)
        data, box, superclass = upload.data, wanted.box, wanted.superclass
        garment = await site.models.run(lambda: site.wardrobe.correct(data, box, superclass))
        number = upload.correct(wanted.garment, garment)
        search = Search(garment=number)
        return site.html("result.html.j2", **await run_in_threadpool(site.result, upload, search))

    @app.post("/photos/{photo_id}/keep")
    async def keep(photo_id: str) -> Response:
        site.may_change()
        upload = site.upload(photo_id)
        if site.build.progress.running:  # only one thread may write, and a folder may take an hour
            raise Refused(409, f"{site.build.progress.what} is being read. Add the photo when that is done.")
        named = Path(upload.name).suffix.lower() in IMAGE_SUFFIXES  # otherwise its content decides, which has been read
        await run_in_threadpool(site.wardrobe.add_upload, upload.data, upload.name if named else "photo.jpg")
        upload.in_wardrobe = True
        return site.html("add_upload.html.j2", photo=upload)
