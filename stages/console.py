"""The console command: ``seamline VERB [ARGUMENT ...]``, or ``python -m stages.console`` where nothing is installed.

A thin door: most verbs hand their arguments on to a command of stages/run.py, in whose module the arguments and their
help are. A verb that takes several programs (``repro``, ``docs``, ...) is a function here. Targets of the Makefile call
these verbs. Only click is imported before a verb is known, so that help and completion answer at once.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from stages.console_names import BENCHES, NAMES, SHELLS, is_checkout, params
from stages.run import start
from stages.runner.times import REPRO_VARIABLE
from stages.salient.weights import check_installed

FLAG = "flag"  # an option that takes no value
HOME = Path(__file__).resolve().parents[1]  # the checkout that this code is in
PROGRAM, COMPLETE = "seamline", "_SEAMLINE_COMPLETE"  # the variable by which a shell asks click for completions


def called(*command: str) -> int:
    """Exit status of a program that takes this terminal; Ctrl-C is the program's, which ends as it sees fit."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def command(name: str, *arguments: str) -> int:
    """Exit status of a command of stages/run.py, in a process of its own."""
    return called(sys.executable, "-m", "stages.run", name, *arguments)


def parser(verb: str) -> argparse.ArgumentParser:
    """A parser for a verb that is a function here."""
    return argparse.ArgumentParser(f"{PROGRAM} {verb}", description=VERBS[verb].does, allow_abbrev=False)


def repro(arguments: Sequence[str]) -> int:
    """Compose the profile if one is named, run the pipeline, say what it reached."""
    parse = parser("repro")
    parse.add_argument("--profile", help="compose params.yaml from this profile first (`seamline use`)")
    parse.add_argument("--keep-edits", action="store_true", help="with --profile: keep edits of params.yaml by hand")
    parse.add_argument("--discard-edits", action="store_true", help="with --profile: drop them")
    parse.usage = f"{PROGRAM} repro [-h] [--profile PROFILE [--keep-edits | --discard-edits]] [TARGET ...] [OPTION ...]"
    parse.epilog = (
        "All else goes to `dvc repro`: targets, such as train_encoder or ingest@shoes (without one, all stages), and "
        "its options, such as --force, --single-item, --dry."
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
    """Bring the source's ingested folder up to date, then say what is in it."""
    parse = parser("ingest-report")
    parse.add_argument("source", help="one of `sources` in params.yaml")
    args = parse.parse_args(arguments)
    done = subprocess.run(["dvc", "repro", f"ingest@{args.source}"], stdout=subprocess.DEVNULL, check=False)
    return done.returncode or command("ingest_report", args.source)


def report(arguments: Sequence[str]) -> int:
    """Bring the page of the profile up to date, name it, and open it where there is a browser."""
    parse = parser("report")
    parse.add_argument("--no-browser", action="store_true", help="only make the page")
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
    """Run one benchmark, or all of them."""
    parse = parser("bench")
    parse.usage = f"{PROGRAM} bench [-h] [{{{','.join(BENCHES)}}}] [OPTION ...]"
    parse.epilog = (
        "Without a name, all of them. Options are those of the benchmark (`python -m bench.simclr --help`), without a "
        "name those of simclr: --photos FOLDER measures it on real photos."
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
    """Write the generated pages; on demand also take the pictures."""
    parse = parser("docs")
    parse.add_argument("--pictures", action="store_true", help="take README's pictures of the demo in Chromium as well")
    args = parse.parse_args(arguments)
    pages = command("leaderboard_page") or command("classifier_page") or command("doc_tables")
    pages = pages or command("model_card") or command("plots_file")
    return pages or (command("doc_pictures") if args.pictures else 0)


def mlflow(arguments: Sequence[str]) -> int:
    """Pass on what MLflow lacks, then serve its pages until Ctrl-C."""
    parse = parser("mlflow")
    parse.add_argument("--port", type=int, default=5000)
    args = parse.parse_args(arguments)
    if status := command("summary", "--track"):
        return status
    store = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if store.startswith("http"):
        print(f"MLflow is at {store}")
        return 0
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    return called("mlflow", "ui", "--workers", "1", "--port", str(args.port), "--backend-store-uri", store)


def completion(arguments: Sequence[str]) -> int:
    """Print what teaches a shell to complete verbs and names."""
    parse = parser("completion")
    parse.add_argument("shell", choices=SHELLS)
    shell = get_completion_class(parse.parse_args(arguments).shell)
    assert shell is not None
    print(shell(cli, {}, PROGRAM, COMPLETE).source())
    return 0


@dataclass(frozen=True)
class Verb:
    """What ``seamline VERB`` does.

    Attributes:
        does: a line of the help.
        example: a command line, for the help.
        runs: name in ``COMMANDS`` of stages/run.py, or a function from arguments to an exit status.
        names: an option, or "" for the words without one -> the kind of name (``NAMES``) that completes it; "" where
            any word may stand, ``FLAG`` for an option without a value.
        group: heading of the help below which the verb stands.
    """

    does: str
    example: str
    runs: str | Callable[[Sequence[str]], int]
    names: Mapping[str, str] = field(default_factory=dict)
    group: str = "Pipeline"


SEARCH = {
    **dict.fromkeys(("--top", "--only", "--out", "--store", "--confidence"), ""),
    **dict.fromkeys(("--any-class", "--ideas", "--json"), FLAG),
}
VERBS = {
    "repro": Verb(
        "Run the pipeline, and say on one screen what it reached.", "seamline repro --profile photos", repro,
        {"": "target", "--profile": "profile", "--keep-edits": FLAG, "--discard-edits": FLAG},
    ),
    "use": Verb(
        "Compose params.yaml from a profile.", "seamline use photos", "use",
        {"": "profile", "--keep-edits": FLAG, "--discard-edits": FLAG},
    ),
    "add": Verb("Add your own data.", "seamline add mystore path/to/photos items.csv", "add"),
    "match": Verb(
        "Find the match of a photo among photos of your clothes.", "seamline match look.jpg --wardrobe my_clothes",
        "match", SEARCH | {"--wardrobe": ""},
        group="Your photos",
    ),
    "wardrobe": Verb(
        "Keep a wardrobe: add, remove, list, query.", "seamline wardrobe add my_clothes", "wardrobe",
        SEARCH | {"": "wardrobe", "--items": FLAG},
        group="Your photos",
    ),
    "app": Verb(
        "Open your wardrobe as a local page.", "seamline app --port 8300", "app",
        {"--port": "", "--host": "", "--allow-host": "", "--allow-changes": FLAG, "--store": ""},
        group="Your photos",
    ),
    "export": Verb(
        "Write the models as ONNX, with a small reader.", "seamline export path/to/folder", "export",
        {"--encoder": "encoder"},
        group="Your photos",
    ),
    "summary": Verb(
        "Print the key numbers of the last repro.", "seamline summary --markdown", "summary",
        {"--markdown": FLAG, "--track": FLAG},
        group="Look",
    ),
    "report": Verb(
        "Make the page with numbers, boxes and searches, and open it.", "seamline report", report,
        {"--no-browser": FLAG},
        group="Look",
    ),
    "review": Verb(
        "Print what a change moved, as Markdown.", "seamline review main --profile demo", "review",
        {"--profile": "profile"},
        group="Look",
    ),
    "trace": Verb(
        "Follow a row from its score to its file.",
        "seamline trace query ROW_ID --encoder classifier --benchmark wardrobe", "trace",
        {"--encoder": "encoder", "--benchmark": "benchmark", "--json": FLAG},
        group="Look",
    ),
    "ingest-report": Verb(
        "Print what ingest found, repaired and rejected.", "seamline ingest-report shoes", ingest_report,
        {"": "source"},
        group="Look",
    ),
    "audit": Verb(
        "Compare the demo's labels and crops with its ground truth.", "seamline audit", "audit", group="Look"
    ),
    "mlflow": Verb("Open MLflow's pages.", "seamline mlflow --port 5001", mlflow, {"--port": ""}, group="Look"),
    "relabel": Verb(
        "Take suggested corrections of labels into data/relabel.csv.", "seamline relabel --confidence .99 --head color",
        "relabel", {"--confidence": "", "--head": ""},
        group="Labels and files",
    ),
    "export-yolo": Verb(
        "Write a detector's data as a YOLO directory.", "seamline export-yolo shoes path/to/folder", "export_yolo",
        {"": "detector"},
        group="Labels and files",
    ),
    "score-vectors": Verb(
        "Score vectors that something else computed.",
        "seamline score-vectors --embeddings mine.parquet --benchmark wardrobe", "score_vectors",
        {"--benchmark": "benchmark", "--embeddings": "", "--metric": "", "--out": "", "--name": ""},
        group="Labels and files",
    ),
    "seeds": Verb(
        "Measure mean and spread over training seeds.", "seamline seeds 0 1 2 --only encoder", "run_seeds",
        {"--only": "section", "--profile": "profile", "--keep": FLAG, "--markdown": FLAG},
        group="Experiments",
    ),
    "ablation": Verb(
        "Train the variants of `ablation` and print their table.", "seamline ablation simclr unfrozen", "run_ablation",
        {"": "variant"},
        group="Experiments",
    ),
    "bench": Verb(
        "Measure speed and memory.", "seamline bench retrieval", bench, {"": "bench", "--photos": ""},
        group="Experiments",
    ),
    "push": Verb(
        "Send what dvc.lock names to a remote.", "seamline push --remote store", "push",
        {"--remote": "", "--jobs": ""},
        group="Team",
    ),
    "pull": Verb(
        "Get what dvc.lock names from a remote.", "seamline pull --remote store", "pull",
        {"--remote": "", "--jobs": "", "--force": FLAG},
        group="Team",
    ),
    "verify": Verb(
        "Say whether checkout, dvc.lock, cache and remote agree.", "seamline verify --remote store", "verify",
        {"--remote": "", "--fast": FLAG},
        group="Team",
    ),
    "docs": Verb(
        "Write the generated pages and tables of docs.", "seamline docs --pictures", docs, {"--pictures": FLAG},
        group="Upkeep",
    ),
    "completion": Verb(
        "Print what completes these verbs in a shell.", 'eval "$(seamline completion bash)"', completion,
        {"": "shell"},
        group="Upkeep",
    ),
}  # fmt: skip


def refuse_elsewhere() -> None:
    """End the process unless the working folder is the root of a checkout: paths and params are relative to it."""
    cwd = Path.cwd()
    if is_checkout(cwd):
        return
    above = next((folder for folder in cwd.parents if is_checkout(folder)), HOME if is_checkout(HOME) else None)
    where = f"cd '{above}'" if above else "cd into the folder that you cloned Seamline into"
    raise click.ClickException(
        f"{cwd} is not the root of a checkout of Seamline (dvc.yaml and stages/). seamline works there: {where}"
    )


class Door(click.Command):
    """A verb as click sees it: it takes every argument as it stands, and completes options and names."""

    def __init__(self, name: str, verb: Verb) -> None:
        """``verb`` is the value of ``name`` in ``VERBS``."""
        words = click.Argument(
            ["arguments"],
            nargs=-1,
            type=click.UNPROCESSED,
            shell_complete=lambda ctx, _, incomplete: self.shell_complete(ctx, incomplete),
        )
        super().__init__(
            name,
            help=verb.does,
            callback=self.open,
            params=[words],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        )
        self.verb = verb

    def open(self, arguments: Sequence[str]) -> None:
        """Run the verb with these arguments; end the process with its status."""
        runs, helps = self.verb.runs, not {"-h", "--help"}.isdisjoint(arguments)
        if not helps and runs is not completion:
            refuse_elsewhere()
        # The verbs start the programs of this environment: dvc, mlflow, the `python` of dvc.yaml.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        try:
            if callable(runs):
                sys.exit(runs(arguments))
            start(runs, f"{PROGRAM} {self.name}", arguments)
        finally:
            if helps:
                print(f"\nExample: {self.verb.example}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Options that begin so, or names of the kind that is due; files where none is."""
        names = self.verb.names
        if incomplete.startswith("-"):
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        before = (ctx.params.get("arguments") or ("",))[-1]
        kind = names.get(before if names.get(before, FLAG) != FLAG else "")
        if not kind or not is_checkout(Path.cwd()):
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in NAMES[kind]() if str(name).startswith(incomplete)]


class Verbs(click.Group):
    """The verbs in the order of ``VERBS``, where click would sort them, below the headings of their groups."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the verbs."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group with its verbs and what they do."""
        width = max(map(len, VERBS))
        for group in dict.fromkeys(verb.group for verb in VERBS.values()):
            with formatter.section(group):
                formatter.write_dl(
                    [(name.ljust(width), verb.does) for name, verb in VERBS.items() if verb.group == group]
                )


@click.group(
    cls=Verbs,
    add_help_option=False,
    options_metavar="",
    subcommand_metavar="VERB [ARGUMENT]...",
    epilog=f"`{PROGRAM} VERB --help` has a verb's arguments and an example.",
)
@click.help_option("-h", "--help", hidden=True)
def cli() -> None:
    """Photos of clothes in, a searchable wardrobe out; in the root of a checkout."""


for _name, _verb in VERBS.items():
    cli.add_command(Door(_name, _verb))


def main() -> None:
    """Run the verb that the command line names."""
    cli.main(prog_name=PROGRAM, complete_var=COMPLETE)


def script() -> None:
    """What the installed command runs: ``main`` of the checkout that is the working folder, which may be another."""
    cwd = Path.cwd()
    if cwd.resolve() != HOME and is_checkout(cwd):
        os.execv(sys.executable, [sys.executable, "-m", "stages.console", *sys.argv[1:]])
    main()


if __name__ == "__main__":
    main()
