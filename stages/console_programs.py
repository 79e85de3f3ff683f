"""Verbs of ``seamline`` that start several programs, one after the other.

Each takes the arguments of its verb and returns an exit status. All other verbs run one command of stages/run.py.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stages.console_names import BENCHES, params
from stages.runner.times import REPRO_VARIABLE
from stages.salient.weights import check_installed

PROGRAM = "seamline"


def called(*command: str) -> int:
    """Run a program in this terminal and return its exit status; Ctrl-C reaches the program, and is ignored here."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def command(name: str, *arguments: str) -> int:
    """Run a command of stages/run.py in a process of its own and return its exit status."""
    return called(sys.executable, "-m", "stages.run", name, *arguments)


def parser(verb: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """The parser of a verb that is a function: its name, and its docstring as the description."""
    name = verb.__name__.replace("_", "-")
    return argparse.ArgumentParser(f"{PROGRAM} {name}", description=verb.__doc__, allow_abbrev=False)


def repro(arguments: Sequence[str]) -> int:
    """Compose the profile if one is named, run the pipeline, and print its key numbers."""
    parse = parser(repro)
    parse.add_argument("--profile", help="compose params.yaml from this profile first (`seamline use`)")
    parse.add_argument("--keep-edits", action="store_true", help="with --profile: keep edits of params.yaml by hand")
    parse.add_argument("--discard-edits", action="store_true", help="with --profile: drop them")
    parse.usage = f"{PROGRAM} repro [-h] [--profile PROFILE [--keep-edits | --discard-edits]] [TARGET ...] [OPTION ...]"
    parse.epilog = (
        "Everything else is passed on to `dvc repro`: targets, such as train_encoder or ingest@shoes (without one, all "
        "stages), and its options, such as --force, --single-item, --dry."
    )
    args, passed_on = parse.parse_known_args(arguments)  # no positionals here, so that their order stays
    edits = [f"--{name}-edits" for name in ("keep", "discard") if getattr(args, f"{name}_edits")]
    if edits and not args.profile:
        parse.error(f"{edits[0]} needs --profile")
    status = command("use", args.profile, *edits) if args.profile else 0
    if status := status or check_installed(params(), passed_on):
        return status
    os.environ[REPRO_VARIABLE] = key = f"make-{time.time_ns()}"
    status = called("dvc", "repro", *passed_on)
    return command("summary", "--repro", key, "--status", str(status if status >= 0 else 128 - status))


def ingest_report(arguments: Sequence[str]) -> int:
    """Run the stage `ingest` of a source if it is out of date, then print what it found, repaired and rejected."""
    parse = parser(ingest_report)
    parse.add_argument("source", help="one of `sources` in params.yaml")
    args = parse.parse_args(arguments)
    done = subprocess.run(["dvc", "repro", f"ingest@{args.source}"], stdout=subprocess.DEVNULL, check=False)
    return done.returncode or command("ingest_report", args.source)


def report(arguments: Sequence[str]) -> int:
    """Bring the page of the profile up to date, print its path, and open it if there is a browser."""
    parse = parser(report)
    parse.add_argument("--no-browser", action="store_true", help="do not open the page")
    args = parse.parse_args(arguments)
    if status := called("dvc", "repro", "report"):
        return status
    page = Path("report", str(params().get("profile")), "index.html")
    print(page)
    if not args.no_browser:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
    return 0


def bench(arguments: Sequence[str]) -> int:
    """Measure speed and memory: one benchmark, or all of them."""
    parse = parser(bench)
    parse.usage = f"{PROGRAM} bench [-h] [{{{','.join(BENCHES)}}}] [OPTION ...]"
    parse.epilog = (
        "Without a name, all benchmarks run. OPTION is an option of the benchmark (`python -m bench.simclr --help`); "
        "without a name, it is one of simclr: --photos FOLDER measures it on real photos."
    )
    passed_on = parse.parse_known_args(arguments)[1]
    chosen = passed_on.pop(0) if passed_on and not passed_on[0].startswith("-") else ""
    if chosen and chosen not in BENCHES:
        parse.error(f"no benchmark {chosen!r}; there are: {', '.join(BENCHES)}")
    for name in [chosen] if chosen else BENCHES:
        options = passed_on if name in (chosen, "simclr") else []
        if status := called(sys.executable, "-m", f"bench.{name}", *options):
            return status
    return 0


def docs(arguments: Sequence[str]) -> int:
    """Write the generated pages and tables of docs/; with --pictures also the pictures of the README."""
    parse = parser(docs)
    parse.add_argument("--pictures", action="store_true", help="also take the pictures of the README, with Chromium")
    args = parse.parse_args(arguments)
    pages = command("leaderboard_page") or command("classifier_page") or command("doc_tables")
    pages = pages or command("model_card") or command("plots_file")
    return pages or (command("doc_pictures") if args.pictures else 0)


def mlflow(arguments: Sequence[str]) -> int:
    """Send MLflow the runs that it lacks, then serve its pages until Ctrl-C."""
    parse = parser(mlflow)
    parse.add_argument("--port", type=int, default=5000, help="port of the pages (default: %(default)s)")
    args = parse.parse_args(arguments)
    if status := command("summary", "--track"):
        return status
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("http"):
        print(f"MLflow is at {uri}")
        return 0
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    store = uri or "sqlite:///mlflow.db"
    return called("mlflow", "ui", "--workers", "1", "--port", str(args.port), "--backend-store-uri", store)
