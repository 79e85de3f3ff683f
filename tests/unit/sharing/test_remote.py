"""Errors of remotes, told in one message each."""

import errno
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.sharing import remote
from stages.sharing.remote import (
    AWAY,
    FULL,
    GONE,
    NO_EXTRA,
    OTHER,
    REFUSED,
    SILENT,
    explained,
    limit,
    meaning,
    silenced,
    within,
)

ROOT = Path(__file__).resolve().parents[3]


def chained(outer, inner):
    """An error that was raised from another."""
    try:
        raise outer from inner
    except type(outer) as error:
        return error


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
        (OSError("An error occurred (QuotaExceeded) when calling the PutObject operation: used up"), FULL),
        (RuntimeError("received 507 (Insufficient Storage)"), FULL),
        (PermissionError("Forbidden"), REFUSED),
        (OSError("An error occurred (SignatureDoesNotMatch) when calling the ListObjectsV2 operation"), REFUSED),
        (RuntimeError("received 401 (Unauthorized)"), REFUSED),
        (chained(OSError("could not list"), RuntimeError("Permission denied for user team on host nas")), REFUSED),
        (FileNotFoundError("The specified bucket does not exist"), GONE),
        (RuntimeError("received 404 (Not Found)"), GONE),
        (TimeoutError("no answer within 3 seconds"), SILENT),
        (RuntimeError("Read timeout on endpoint URL: http://127.0.0.1:1/"), SILENT),
        (ConnectionRefusedError(111, "Connect call failed"), AWAY),
        (OSError('Could not connect to the endpoint URL: "http://127.0.0.1:1/"'), AWAY),
        (RuntimeError("URL 's3://a' is supported but requires these missing dependencies: ['s3fs']"), NO_EXTRA),
        (ValueError("something else"), OTHER),
    ],
)
def test_error_means(error, found):
    assert meaning(error) == found


def test_message_has_one_line_with_what_was_found_what_to_do_and_what_is_left():
    error = explained("store (s3://a)", OSError("An error occurred (AccessDenied)\nmore\nlines"), "Nothing is lost")
    assert str(error) == (
        "store (s3://a): it refuses these credentials (An error occurred (AccessDenied)). Compare `dvc remote list` and "
        ".dvc/config.local with what its owner gave you. Nothing is lost"
    )


def test_within_gives_results_and_errors_and_does_not_wait_longer():
    assert within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer within 0.1 seconds"):
        within(0.1, lambda: time.sleep(5))
    assert time.monotonic() - started < 2


def test_limit_is_a_number_of_seconds(monkeypatch):
    monkeypatch.delenv("SEAMLINE_REMOTE_SECONDS", raising=False)
    assert limit() == remote.LIMIT
    monkeypatch.setenv("SEAMLINE_REMOTE_SECONDS", "90")
    assert limit() == 90
    for wrong in ("0", "-1", "soon", ""):
        monkeypatch.setenv("SEAMLINE_REMOTE_SECONDS", wrong)
        with pytest.raises(StageError, match="expected a whole number of seconds"):
            limit()


def test_what_dvc_logs_is_kept_and_not_printed_and_its_handlers_come_back(capsys):
    logger = logging.getLogger("dvc_data.hashfile.transfer")
    import dvc.logger  # noqa: F401

    before = list(logging.getLogger("dvc_data").handlers)
    with silenced() as failures:
        logger.error("failed to transfer '%s'", "x", exc_info=OSError("gone"))
        logger.warning("look at %s", "this")
    assert [str(error) for error in failures.errors] == ["gone"] and failures.messages == ["look at this"]
    assert logging.getLogger("dvc_data").handlers == before
    assert capsys.readouterr() == ("", "")


SILENT_TRANSFER = """
import logging, time
from fsspec.callbacks import Callback
from stages.core.log import show_log
from stages.sharing.remote import watched

show_log()
beats = Callback()

def transfer():
    for _ in range(3):
        time.sleep(0.6)
        beats.relative_update(1)  # within the second that it may take: goes on
    print("got on", flush=True)
    time.sleep(60)

import stages.sharing.remote as remote
remote.PATIENCE = 1
watched(transfer, "Nothing is lost")
"""


@pytest.mark.slow
def test_a_transfer_that_no_longer_gets_on_ends_with_one_message():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SILENT_TRANSFER], cwd=ROOT, env=os.environ | {"SEAMLINE_REMOTE_SECONDS": "1"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and time.monotonic() - started < 30
    assert done.stdout == "got on\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "ERROR the remote: it accepts connections and does not answer (nothing arrived or left for 1 s"
    )


def test_watched_gives_what_the_transfer_gives():
    assert remote.watched(lambda: 3, "") == 3
    with pytest.raises(ZeroDivisionError):
        remote.watched(lambda: 1 // 0, "")
