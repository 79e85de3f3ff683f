"""A wardrobe: photos of a person's clothes on disk, the garments that the models found in them, and searches.

The models see each photo once: the store keeps their results under the hash of the photo's bytes and the hash of the
models. A file whose size, time and inode have not changed since the last scan is not opened. Many threads may read at
once, also while photos are added; each call sees the newest state of the store that was saved.
"""

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

import numpy as np

from stages.app.folders import (
    COUNTS,
    Broken,
    Change,
    Scan,
    absolute,
    count_changes,
    scan,
    scan_to_add,
    with_added,
    without,
)
from stages.app.garments import Box, Garment, read_file, read_photo
from stages.app.indexing import keep_index, open_index
from stages.app.items import Item, Match, QueryGarment, QueryPhoto, named_attributes
from stages.app.models import Models, stamp
from stages.app.reading import PhotoReader
from stages.app.search import ANY, Catalog, Filters
from stages.app.store import Busy, File, ModelResults, Roots, Store, below
from stages.app.store_files import write_whole
from stages.contracts.boxes import crop_box
from stages.contracts.images import IMAGE_SUFFIXES, encode_jpeg

log = logging.getLogger(__name__)

DEFAULT_STORE = Path("wardrobe")
SAVED_EVERY = 16  # photos; a crash loses at most so many
PICTURE_QUALITY = 88
# Called with photos done, photos to read, the photo that was read last.
ProgressCallback = Callable[[int, int, Path], None]


class Wardrobe:
    """One store, read with one set of models."""

    def __init__(self, models: Models, store: Path = DEFAULT_STORE) -> None:
        """Open the store in a folder, or make it.

        Raises:
            StageError: the folder holds something else, or cannot be written.
        """
        self.models, self.store = models, Store(store)
        self.key = models.key(self._hashes_of_models())
        self._catalog: tuple[object, Catalog] | None = None
        self._loading = Lock()

    def _hashes_of_models(self) -> dict[Path, str]:
        known, result = self.store.known_models(), {}
        now = dict(known)
        for path in self.models.files():
            name, own = str(path.absolute()), list(stamp(path))
            if now.get(name, [])[:3] != own:
                with path.open("rb") as stream:
                    now[name] = [*own, hashlib.file_digest(stream, "sha256").hexdigest()]
            result[path] = now[name][3]
        if now != known:
            with suppress(Busy), self.store.writing(wait=False):  # if busy, the next call writes it
                self.store.write_known_models(now)
        return result

    # -- writing

    def roots(self) -> list[Path]:
        """Folders and photos that were added."""
        return list(map(Path, self.store.roots().added))

    def add(
        self,
        paths: Sequence[Path],
        progress: ProgressCallback | None = None,
        stop: Event | None = None,
        *,
        again: bool = True,
        wait: bool = True,
    ) -> Change:
        """Take folders or photos into the wardrobe, and read those of their photos that are not known yet.

        Args:
            progress: called after each photo that had to be read.
            stop: once it is set, the photo being read is the last one; what was read is kept.
            again: photos that were removed from such a folder come back.
            wait: for another process or thread that is adding; if false, return at once with ``busy``.

        Raises:
            StageError: a path does not exist, or there is nothing to add.
        """
        places = list(map(absolute, paths))
        scanned = scan_to_add(paths, () if again else self.store.roots().left_out)
        try:
            with self.store.writing(wait):
                before = self.store.roots()
                after = with_added(before, places)
                if not again:
                    after = Roots(after.added, before.left_out)
                if after != before:
                    self.store.write_roots(after)
                return self._update(places, scanned, progress, stop)
        except Busy:
            return self._change([], Scan(), busy=True)

    def sync(self, progress: ProgressCallback | None = None, stop: Event | None = None, wait: bool = True) -> Change:
        """Scan again all folders and photos that were added; see ``add``."""
        try:
            with self.store.writing(wait):
                roots = self.store.roots()
                return self._update(roots.added, scan(roots.added, roots.left_out), progress, stop)
        except Busy:
            return self._change([], Scan(), busy=True)

    def remove(self, paths: Sequence[Path]) -> Change:
        """Take folders or photos out of the wardrobe; the files themselves stay where they are.

        A photo below a folder that was added stays out until it is added again.
        """
        places = list(map(absolute, paths))
        with self.store.writing():
            roots = self.store.roots()
            self.store.write_roots(without(roots, places))
            files = self.store.files()
            kept = {path: file for path, file in files.items() if not any(below(path, place) for place in places)}
            if len(kept) < len(files):
                self.store.write_files(kept.values())
                self.store.keep_only({file.sha256 for file in kept.values() if file.sha256})
        return self._change([], Scan(), removed=len(files) - len(kept))

    def add_upload(self, data: bytes, name: str) -> Change:
        """Save an uploaded photo in the store's folder ``photos``, and add it.

        Args:
            name: of the uploaded file. Its suffix stays; the rest of the new name is the hash of the bytes.

        Raises:
            StageError: the bytes are no image of a supported format.
        """
        sha, suffix = hashlib.sha256(data).hexdigest(), Path(name).suffix.lower()
        read_photo(data, Path(name))
        folder = self.store.folder / "photos"
        folder.mkdir(exist_ok=True)
        path = folder / f"{sha[:20]}{suffix if suffix in IMAGE_SUFFIXES else '.jpg'}"
        if not path.exists():
            write_whole(path, data)
        return self.add([path])

    def _update(
        self, places: Sequence[str], scanned: Scan, progress: ProgressCallback | None, stop: Event | None
    ) -> Change:
        """Bring the store up to date with the files that a scan has found at ``places``."""
        old = self.store.files()
        known = {path: file for path, file in old.items() if any(below(path, place) for place in places)}
        absent = {path for path in known if any(below(path, place) for place in scanned.missing)}
        files = {path: file for path, file in old.items() if path not in known}
        files |= {path: file for path, file in known.items() if path in scanned.stamps}
        files |= {
            path: replace(file, present=True)
            for path, file in files.items()
            if not file.present and path in scanned.stamps
        }
        files |= {path: replace(file, present=False) for path, file in known.items() if path in absent}
        files |= {str(photo.path): File(str(photo.path), (0, 0, 0), None, photo.reason) for photo in scanned.broken}
        results = self.store.results(self.key)
        reader = PhotoReader(self.models, results.known())
        todo = [path for path, own in scanned.stamps.items() if not reader.knows(files.get(path), own)]
        for done, path in enumerate(todo, start=1):
            if stop is not None and stop.is_set():
                break
            files[path] = reader.read(path, scanned.stamps[path])
            if len(reader.waiting) >= SAVED_EVERY:
                self._save(results, reader, files, old)
            if progress is not None:
                progress(done, len(todo), Path(path))
        self._save(results, reader, files, old)
        hashes = {file.sha256 for file in files.values() if file.sha256}
        if any(file.sha256 and file.sha256 not in hashes for file in known.values()):
            self.store.keep_only(hashes)
        self.store.delete_other_results(self.key)
        if self.models.search is not None and (stop is None or not stop.is_set()):
            keep_index(results, self._width(results.read()[1]), self.models.search)
        now = [file for path, file in files.items() if file.present and any(below(path, place) for place in places)]
        return self._change(now, scanned, before=[file for path, file in known.items() if path not in absent])

    def _save(self, results: ModelResults, reader: PhotoReader, files: dict[str, File], old: dict[str, File]) -> None:
        """Commit what was read: first the garments, then the files that refer to them."""
        results.append(reader.results())
        reader.waiting.clear()
        if files != old:
            self.store.write_files(files.values())

    def _change(
        self, now: Collection[File], scanned: Scan, before: Collection[File] = (), removed: int = 0, busy: bool = False
    ) -> Change:
        catalog = self.catalog()
        counts = count_changes(before, now)
        broken = [Broken(Path(file.path), file.reason) for file in now if file.reason is not None]
        broken += [
            Broken(Path(file.path), catalog.unreadable[file.sha256])
            for file in now
            if file.sha256 is not None and file.sha256 in catalog.unreadable
        ]
        counts |= {"unreadable": len(broken), "left_out": sum(scanned.left_out.values())}
        counts["removed"] += removed
        return Change(
            photos=catalog.photos,
            garments=len(catalog),
            counts={name: counts[name] for name in COUNTS},
            broken=sorted(broken, key=lambda photo: str(photo.path)),
            left_out=dict(scanned.left_out),
            missing=list(map(Path, scanned.missing)),
            busy=busy,
        )

    def _width(self, rows: np.ndarray) -> int:
        """Dimensions of a vector; in a row, the probabilities follow the vector."""
        return max(0, rows.shape[1] - sum(map(len, self.models.heads.values())))

    # -- reading

    def catalog(self) -> Catalog:
        """The newest saved state."""
        state = self.store.state(self.key)
        held = self._catalog
        if held is not None and held[0] == state:
            return held[1]
        with self._loading:
            state = self.store.state(self.key)
            if self._catalog is None or self._catalog[0] != state:
                table, rows = self.store.results(self.key).read()
                files = self.store.files()
                catalog = Catalog(files, table, rows, self.models.heads, self.models.unsure_below)
                if (search := self.models.search) is not None and search.indexes(len(catalog)):
                    index = open_index(self.store.results(self.key), rows, self._width(rows), search)
                    catalog.use_index(index, search.ivf_above)
                self._catalog = state, catalog
            return self._catalog[1]

    def items(self, filters: Filters = ANY, start: int = 0, count: int | None = None) -> list[Item]:
        """Garments that pass the filters, by path: ``count`` of them from ``start`` on, or all."""
        catalog = self.catalog()
        at = np.flatnonzero(catalog.passing(filters))[start : None if count is None else start + count]
        return [catalog.item(int(position)) for position in at]

    def count(self, filters: Filters = ANY) -> int:
        """How many garments pass the filters."""
        return int(self.catalog().passing(filters).sum())

    def item(self, id: str) -> Item | None:
        """The garment with that id; None if the wardrobe does not have it any more."""
        catalog = self.catalog()
        at = catalog.places.get(id)
        return None if at is None else catalog.item(at)

    def facets(self, filters: Filters = ANY) -> dict[str, dict[str, int]]:
        """``superclass`` and each head -> name -> how many garments pass the filters, most frequent first."""
        return self.catalog().facets(filters)

    def picture(self, item: Item, side: int = 256, whole: bool = False) -> bytes:
        """JPEG of a garment, or of its whole photo, with sides of at most ``side`` pixels.

        Raises:
            StageError: none of its files can be read.
        """
        path = next((path for path in item.paths if path.is_file()), item.photo)
        image = read_photo(read_file(path), path)
        box = None if whole else item.box
        padding = 0.0 if whole else self.models.params.padding
        crop = crop_box(image, box, padding=padding, max_side=side, min_side=1)
        assert crop is not None
        return encode_jpeg(crop, PICTURE_QUALITY)

    # -- searching

    def read_query(self, photo: bytes | Path) -> QueryPhoto:
        """The garments of a query photo.

        Raises:
            StageError: the photo is missing, is not an image, or has too few pixels.
        """
        data = read_file(photo) if isinstance(photo, Path) else photo
        names = (photo,) if isinstance(photo, Path) else ()
        (width, height), garments = self.models.garments(data, *names)
        return QueryPhoto(hashlib.sha256(data).hexdigest(), width, height, self._query_garments(garments))

    def correct(self, photo: bytes | Path, box: Box | None, superclass: str) -> QueryGarment:
        """A garment of a query photo, corrected by a person; ``box`` in pixels of the upright photo.

        Raises:
            StageError: as ``garments.garment_at``.
        """
        data = read_file(photo) if isinstance(photo, Path) else photo
        return self._query_garments([self.models.garment_at(data, box, superclass)])[0]

    def _query_garments(self, garments: Sequence[Garment]) -> list[QueryGarment]:
        vectors, shares = self.models.describe(garments)
        return [
            QueryGarment(
                garment.superclass,
                garment.confidence,
                garment.box,
                named_attributes(own, self.models.heads, self.models.unsure_below),
                garment.crop,
                vector,
                own,
            )
            for garment, vector, own in zip(garments, vectors, shares, strict=True)
        ]

    def matches(
        self, query: QueryGarment, top: int = 5, filters: Filters = ANY, any_class: bool = False, without: str = ""
    ) -> list[Match]:
        """The most similar garments, best first; see ``Catalog.competing`` for those that compete.

        Args:
            without: hash of the query photo, which is no match of itself.
        """
        catalog = self.catalog()
        return catalog.matches(query, catalog.competing(query.superclass, filters, any_class, without), top)

    def ideas(
        self, query: QueryGarment, top: int = 12, filters: Filters = ANY, any_class: bool = False, without: str = ""
    ) -> list[Match]:
        """The diverse list; see ``Catalog.ideas`` and ``matches``."""
        catalog = self.catalog()
        at = catalog.competing(query.superclass, filters, any_class, without)
        return catalog.ideas(query, at, top) if len(at) else []
