"""A DVC remote, reached within a time limit. Every failure becomes one message.

DVC itself prints a line or a stack trace for each object that failed, and waits for minutes on a server that accepts
connections and never answers.
"""

import errno
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from stages.core.errors import StageError, shown
from stages.sharing.objects import BUCKETS

log = logging.getLogger(__name__)
T = TypeVar("T")
LIMIT_VARIABLE = "SEAMLINE_REMOTE_SECONDS"
LIMIT = 30  # seconds that a remote may take to answer
PATIENCE = 10  # limits without progress that end a transfer: parts of large files take long on a slow line
# Kind of remote -> its settings that bound the wait for an answer. A value in DVC's config goes first.
TIMEOUTS = {
    "s3": ("connect_timeout", "read_timeout"),
    "ssh": ("timeout",),
    "webdav": ("timeout",),
    "webdavs": ("timeout",),
    "azure": ("connection_timeout", "read_timeout"),
}
# Kinds whose bucket or base folder must exist; DVC makes the folders of the others.
ROOTED = BUCKETS | {"webdav", "webdavs"}
FULL = "it is full, or over its quota"
REFUSED = "it refuses these credentials"
GONE = "there is no such bucket or folder"
SILENT = "it accepts connections and does not answer"
AWAY = "nothing answers at that address"
NO_EXTRA = "DVC's extra for this kind of remote is not installed"
OTHER = "it failed"
# What an error means, by its text, because the libraries share no type of error; the first match counts.
MEANINGS = (
    (NO_EXTRA, r"missing dependencies|is supported but requires"),
    (FULL, r"no space left|quota|\b507\b|insufficient ?storage|disk full|sftpfailure|entitytoolarge"),
    (
        REFUSED,
        r"forbidden|access ?denied|invalidaccesskeyid|signaturedoesnotmatch|unauthori[sz]ed|permission ?denied|"
        r"\b40[13]\b|invalid ?token|credentials|authentication|host key is not trusted",
    ),
    (GONE, r"nosuchbucket|bucket does not exist|no such (file|folder|bucket|directory)|\b404\b|not ?found"),
    (SILENT, r"time(d )?[ -]?out|timeout"),
    (AWAY, r"refused|unreachable|could not connect|cannot connect|name or service|getaddrinfo|connection (lost|reset)"),
)
ADVICE = {
    FULL: "Make room there: docs/sharing.md, `dvc gc`, says what may be deleted",
    REFUSED: "Compare `dvc remote list` and .dvc/config.local with what its owner gave you",
    GONE: "Correct the url (`dvc remote list`), or ask its owner",
    SILENT: f"Ask its owner; {LIMIT_VARIABLE} allows a slow one more time",
    AWAY: "Correct the url (`dvc remote list`), or start its server or your VPN",
    NO_EXTRA: "Install it: pip install -r requirements-remotes.txt",
    OTHER: "`dvc push -v` or `dvc pull -v` shows all that happened",
}


class Pulse:
    """When a transfer last made progress, and with which remote, for the thread that watches it."""

    def __init__(self) -> None:
        self.called, self.last = "the remote", time.monotonic()

    def beat(self) -> None:
        """Record progress."""
        self.last = time.monotonic()


PULSE = Pulse()


class Failures(logging.Handler):
    """Keeps what DVC logs as warnings and errors, and prints none of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[BaseException] = []
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception, or the words."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self.errors.append(error)
        else:
            self.messages.append(record.getMessage())


def limit() -> int:
    """Seconds that a remote may take to answer.

    Raises:
        StageError: the variable is no positive number.
    """
    value = os.environ.get(LIMIT_VARIABLE, str(LIMIT))
    if not re.fullmatch(r"[1-9]\d{0,5}", value):
        raise StageError(f"{LIMIT_VARIABLE}={value}: expected a whole number of seconds, such as {LIMIT}.")
    return int(value)


def within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function, and return what it returns or raise what it raises.

    Raises:
        TimeoutError: it takes longer. It continues in a thread that does not keep the process alive.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    if errors:
        raise errors[0]
    return results[0]


def watched(function: Callable[[], T], left: str) -> T:
    """Run a transfer and return what it returns; without progress, end the process with one message and status 1.

    The process must end, because the libraries retry each object that timed out and cannot be interrupted.

    Args:
        function: the transfer.
        left: what a failure leaves behind and how to continue, for the message.
    """
    from fsspec.callbacks import Callback

    relative, absolute = Callback.relative_update, Callback.absolute_update

    def relative_update(self: Any, inc: int = 1) -> None:
        PULSE.beat()
        relative(self, inc)

    def absolute_update(self: Any, value: int) -> None:
        PULSE.beat()
        absolute(self, value)

    def silent() -> None:
        seconds = PATIENCE * limit()
        while not done.wait(0.2):
            if time.monotonic() - PULSE.last > seconds:
                error = TimeoutError(f"nothing arrived or left for {seconds} seconds")
                log.error("%s", explained(PULSE.called, error, left))
                sys.stdout.flush()
                os._exit(1)

    done = threading.Event()
    PULSE.beat()
    Callback.relative_update, Callback.absolute_update = relative_update, absolute_update
    threading.Thread(target=silent, daemon=True).start()
    try:
        return function()
    finally:
        done.set()
        Callback.relative_update, Callback.absolute_update = relative, absolute


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def meaning(error: BaseException) -> str:
    """The meaning of an error of a remote, as one of the constants above."""
    chain = list(causes(error))
    if any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in chain):
        return FULL
    words = " ".join(f"{type(cause).__name__} {cause}" for cause in chain).lower()
    return next((what for what, pattern in MEANINGS if re.search(pattern, words)), OTHER)


def words_of(error: BaseException) -> str:
    """The first line of text in an error and its causes."""
    lines = [line.strip() for cause in causes(error) for line in str(cause).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(". ")


def explained(remote: str, error: BaseException, left: str) -> StageError:
    """The message about a remote that failed.

    Args:
        remote: its name and url.
        left: what the failure leaves behind, and how to continue.
    """
    what = meaning(error)
    return StageError(f"{remote}: {what} ({words_of(error)}). {ADVICE[what]}. {left}")


def answers(remote: Any) -> None:
    """Ask a remote for a listing, so that a remote that cannot be used fails before anything is done."""
    kind = remote.fs.protocol
    kind = kind if isinstance(kind, str) else kind[0]
    if kind in ("http", "https"):
        remote.fs.exists(remote.path)
        return
    root = remote.path.strip("/").split("/")[0] if kind in BUCKETS else remote.path
    try:
        remote.fs.fs.ls(root, detail=False)
    except FileNotFoundError:
        if kind in ROOTED:
            raise


@contextmanager
def silenced() -> Iterator[Failures]:
    """Keep DVC's warnings and errors instead of printing them."""
    failures = Failures()
    import dvc.logger  # it adds the handlers that are removed below  # noqa: F401

    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [failures]
    try:
        yield failures
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers = handlers


@contextmanager
def opened() -> Iterator[tuple[Any, Failures]]:
    """The ``dvc.repo.Repo`` of the working folder, locked, and DVC's warnings and errors.

    DVC reads its config anew whenever it takes the lock. Here it is taken once, so that changes of the config last.

    Raises:
        StageError: DVC cannot read the project, or another command of DVC has the lock.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with silenced() as failures, Repo() as repo, lock_repo(repo):
            yield repo, failures
    except DvcException as error:
        raise StageError(f"DVC: {words_of(error)}. `dvc status` says more.") from error


def reached(repo: Any, name: str | None, left: str) -> tuple[Any, str]:
    """A remote that answers, and its name and url for messages.

    Args:
        repo: an open ``dvc.repo.Repo``.
        name: of the remote; None for the default one.
        left: what a failure leaves behind and how to continue, for the message.

    Raises:
        StageError: there is no such remote, or it cannot be used.
    """
    remotes = repo.config["remote"]
    name = name or repo.config["core"].get("remote")
    if name not in remotes:
        wrong = f"no remote {name!r}; there are {shown(remotes)}" if name else "no remote was named and none is default"
        raise StageError(f"{wrong}. Name one of `dvc remote list`, or add one: docs/sharing.md.")
    settings = remotes[name]
    called, seconds = f"{name} ({settings['url']})", limit()
    PULSE.called = called
    for option in TIMEOUTS.get(settings["url"].partition("://")[0], ()):
        settings.setdefault(option, seconds)
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "2")  # botocore would try five times, each until the timeout
    try:
        remote = repo.cloud.get_remote(name)
        within(seconds, lambda: answers(remote))
    except Exception as error:
        raise explained(called, error, left) from error
    return remote, called
