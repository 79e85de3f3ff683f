"""Adds a folder to the wardrobe in the background: its progress, its result, and the files that it could not read."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stages.app.folders import Change
from stages.app.wardrobe import Wardrobe
from stages.core.errors import StageError
from stages.core.names import plain

log = logging.getLogger(__name__)

MOST_SHOWN = 200  # broken files that the page lists
PAUSE = 0.02  # seconds between two checks whether searches still wait
LONGEST = 2.0  # seconds that searches may delay one photo, so that the job advances under a steady load, too


@dataclass(frozen=True)
class Progress:
    """The progress of a job.

    Attributes:
        what: the folder that is read, or "all folders of the wardrobe".
        running: false if it has ended or none was started yet.
        done, total: photos; 0 of 0 while files are counted.
        change: its result; None while it runs and if it failed.
        error: why it failed; empty if it did not.
        stopped: whether a person stopped it.
    """

    what: str = ""
    running: bool = False
    done: int = 0
    total: int = 0
    change: Change | None = None
    error: str = ""
    stopped: bool = False


@dataclass
class Build:
    """The one job that may change the wardrobe from its folders.

    Attributes:
        waiting: how many searches wait; the job pauses for them.
    """

    wardrobe: Wardrobe
    waiting: Callable[[], int] = lambda: 0
    progress: Progress = field(default_factory=Progress)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def add(self, folder: Path) -> None:
        """Begin to add a folder, or a single photo.

        Raises:
            StageError: it is not there, or another job runs.
        """
        shown = plain(str(folder))
        if not folder.exists():
            raise StageError(f"{shown}: no such folder. Give the whole path, such as /home/me/Pictures/clothes.")
        self._begin(shown, lambda: self.wardrobe.add([folder.absolute()], self._update_progress, self._stop))

    def rescan(self) -> None:
        """Begin to scan all folders of the wardrobe again.

        Raises:
            StageError: another job runs.
        """
        self._begin("all folders of the wardrobe", lambda: self.wardrobe.sync(self._update_progress, self._stop))

    def stop(self, wait: float = 0) -> None:
        """Ask the job to end after the current photo, and wait up to ``wait`` seconds for it.

        Photos that were read stay in the wardrobe.
        """
        self._stop.set()
        if wait and self._thread:
            self._thread.join(wait)

    def _begin(self, what: str, job: Callable[[], Change]) -> None:
        with self._lock:
            if self.progress.running:
                raise StageError(f"{self.progress.what} is being read. Wait until it is done, or stop it.")
            self._stop.clear()
            self.progress = Progress(what, running=True)
            self._thread = threading.Thread(target=self._work, args=(what, job), daemon=True, name="build")
            self._thread.start()

    def _work(self, what: str, job: Callable[[], Change]) -> None:
        change, error = None, ""
        try:
            change = job()
        except (StageError, OSError) as failure:
            error = plain(str(failure))
        except Exception:
            log.exception("the wardrobe could not be read")
            error = "An error that should not happen: the terminal in which the page was started shows it."
        done, total, stopped = self.progress.done, self.progress.total, self._stop.is_set()
        self.progress = Progress(what, False, done, total, change, error, stopped)

    def _update_progress(self, done: int, total: int, _: Path) -> None:
        self.progress = Progress(self.progress.what, True, done, total)
        until = time.monotonic() + LONGEST
        while self.waiting() and not self._stop.is_set() and time.monotonic() < until:
            time.sleep(PAUSE)


def folder_of(text: str) -> Path:
    """The folder that a person typed or pasted: quotes around it, ``~`` and ``file://`` are understood.

    Raises:
        StageError: it is empty, relative, or no path at all.
    """
    from urllib.parse import unquote, urlsplit

    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if not text or "\0" in text:
        raise StageError("No folder given. Type the path of a folder with photos of your clothes.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise StageError(f"{plain(text)}: no such home folder.") from None
    if not path.is_absolute():
        raise StageError(f"{plain(text)}: give the whole path, such as /home/me/Pictures/clothes.")
    return path
