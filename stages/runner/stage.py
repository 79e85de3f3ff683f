"""The frame around every stage's ``main``: arguments, typed params, one clear message on bad input, tracking.

Commands that are no stages share ``new_parser`` and ``one_message``.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic_core import to_jsonable_python

from stages.core.determinism import use_runtime
from stages.core.errors import StageError
from stages.core.log import show_log
from stages.core.params import load_params, section
from stages.runner import times
from stages.runner.lists import check_lists

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What MLflow shows of a stage: metrics, curves (name -> values by step), pictures."""

    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    pictures: list[Path] = field(default_factory=list)


def new_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose ``--help`` shows a module's docstring unchanged."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


@contextmanager
def one_message(status: int = 1) -> Iterator[None]:
    """End a command with one line and ``status`` on bad input, and without a traceback when it is interrupted.

    Files that cannot be read or written count as bad input, because people pass paths to commands.
    """
    show_log()
    try:
        yield
        sys.stdout.flush()
    except StageError as error:
        log.error("%s", error)
        sys.exit(status)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python's flush at exit would fail
        sys.exit(141)  # as a shell reports SIGPIPE
    except OSError as error:
        if error.filename is None:
            raise
        log.error(f"{error.filename}: {error.strerror}.")
        sys.exit(status)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports Ctrl-C


# Arguments that name an item of a list in params.yaml. All other arguments are paths.
NAME_ARGUMENTS = frozenset({"source", "detector", "encoder", "benchmark", "variant", "table"})
Main = Callable[[argparse.Namespace, SimpleNamespace], Report | None]


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml: what ``python -m stages.run NAME`` runs.

    Attributes:
        main: gets a namespace of arguments and a namespace of params objects.
        arguments: names of the positional arguments; those in ``NAME_ARGUMENTS`` are strings, all others become paths.
        params: name -> (dotted key in params.yaml, type); the key may use arguments: ``detector.{detector}``. The type
            is a ``Section``, or one for a list or a mapping of sections: ``Names``, ``dict[str, SomeSection]``.
    """

    main: Main
    arguments: Sequence[str]
    params: dict[str, tuple[str, Any]]

    def run(self, argv: Sequence[str] | None = None) -> None:
        """Parse arguments, read params, run, track; end the process with status 1 after one message on bad input."""
        parser = new_parser(sys.modules[self.main.__module__].__doc__)
        for name in self.arguments:
            parser.add_argument(name, type=str if name in NAME_ARGUMENTS else Path)
        args = parser.parse_args(argv)
        show_log()
        started = time.time()
        sections: dict[str, Any] = {}
        report, failed = Report(), False
        try:
            content = load_params()
            if isinstance(runtime := content.get("runtime"), dict):
                use_runtime(runtime)
            check_lists(content)
            for name, (key, model) in self.params.items():
                sections[name] = section(model, key.format(**vars(args)), content)
            report = self.main(args, SimpleNamespace(**sections)) or report
        except StageError as error:
            log.error("%s", error)
            failed = True
        times.note(started)
        from stages.runner.tracking import track_stage

        plain = {name: to_jsonable_python(value) for name, value in sections.items()}
        track_stage(report, plain, [str(value) for value in vars(args).values()], started, failed)
        if failed:
            sys.exit(1)
