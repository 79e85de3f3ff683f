"""The console command: ``seamline VERB [ARGUMENT ...]``, or ``python -m stages.console`` where nothing is installed.

Most verbs hand their arguments on to a command of stages/run.py; the module of that command has the arguments and their
help. A verb that starts several programs (``repro``, ``docs``, ...) is a function of stages/console_programs.py.
Targets of the Makefile call these verbs. Only click is imported before a verb is known, so that help and
completion are quick.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from stages.console_names import NAMES, SHELLS, is_checkout
from stages.console_programs import PROGRAM, bench, docs, ingest_report, mlflow, parser, report, repro
from stages.run import run_and_leave, start

FLAG = "flag"  # an option that takes no value
HOME = Path(__file__).resolve().parents[1]  # the checkout that this code is in
COMPLETE = "_SEAMLINE_COMPLETE"  # the variable by which a shell asks click for completions


def completion(arguments: Sequence[str]) -> int:
    """Print the script by which a shell completes verbs and names."""
    parse = parser(completion)
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
        "Run the pipeline, and print its key numbers on one screen.", "seamline repro --profile photos", repro,
        {"": "target", "--profile": "profile", "--keep-edits": FLAG, "--discard-edits": FLAG},
    ),
    "use": Verb(
        "Compose params.yaml from a profile.", "seamline use photos", "use",
        {"": "profile", "--keep-edits": FLAG, "--discard-edits": FLAG},
    ),
    "add": Verb("Make a profile for your own photos.", "seamline add mystore path/to/photos items.csv", "add"),
    "match": Verb(
        "Find the garments of a photo among photos of your clothes.", "seamline match look.jpg --wardrobe my_clothes",
        "match", SEARCH | {"--wardrobe": ""},
        group="Your photos",
    ),
    "find": Verb(
        "Find garments by words among photos of your clothes.", 'seamline find "a red striped dress"', "find",
        {**dict.fromkeys(("--wardrobe", "--top", "--only", "--store", "--confidence"), ""), "--json": FLAG},
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
        group="Results",
    ),
    "report": Verb(
        "Make the page with numbers, boxes and searches, and open it.", "seamline report", report,
        {"--no-browser": FLAG},
        group="Results",
    ),
    "review": Verb(
        "Print which numbers a change moved, as Markdown.", "seamline review main --profile demo", "review",
        {"--profile": "profile"},
        group="Results",
    ),
    "trace": Verb(
        "Print what happened to a row, from its score to its file.",
        "seamline trace query ROW_ID --encoder classifier --benchmark wardrobe", "trace",
        {"--encoder": "encoder", "--benchmark": "benchmark", "--json": FLAG},
        group="Results",
    ),
    "ingest-report": Verb(
        "Print what ingest found, repaired and rejected.", "seamline ingest-report shoes", ingest_report,
        {"": "source"},
        group="Results",
    ),
    "audit": Verb(
        "Compare the demo's labels and crops with its ground truth.", "seamline audit", "audit", group="Results"
    ),
    "composed": Verb(
        "Score detection and search on composed pictures.", "seamline composed --seed 1", "composed", {"--seed": ""},
        group="Results",
    ),
    "mlflow": Verb("Open MLflow's pages.", "seamline mlflow --port 5001", mlflow, {"--port": ""}, group="Results"),
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
        "Score vectors that another program computed.",
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
        "Send the files that dvc.lock names to a remote.", "seamline push --remote store", "push",
        {"--remote": "", "--jobs": ""},
        group="Team",
    ),
    "pull": Verb(
        "Get the files that dvc.lock names from a remote.", "seamline pull --remote store", "pull",
        {"--remote": "", "--jobs": "", "--force": FLAG},
        group="Team",
    ),
    "verify": Verb(
        "Check that checkout, dvc.lock, cache and remote agree.", "seamline verify --remote store", "verify",
        {"--remote": "", "--fast": FLAG},
        group="Team",
    ),
    "docs": Verb(
        "Write the generated pages and tables of docs/.", "seamline docs --pictures", docs, {"--pictures": FLAG},
        group="Upkeep",
    ),
    "completion": Verb(
        "Print the script by which a shell completes verbs.", 'eval "$(seamline completion bash)"', completion,
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
    epilog=f"`{PROGRAM} VERB --help` shows the arguments of a verb and an example.",
)
@click.help_option("-h", "--help", hidden=True)
def cli() -> None:
    """Turn photos of clothes into a searchable wardrobe (in the root of a checkout)."""


for _name, _verb in VERBS.items():
    cli.add_command(Door(_name, _verb))


def main() -> None:
    """Run the verb that the command line names."""
    cli.main(prog_name=PROGRAM, complete_var=COMPLETE)


def script() -> None:
    """Run ``main``; if the working folder is another checkout, that checkout's ``main``."""
    cwd = Path.cwd()
    if cwd.resolve() != HOME and is_checkout(cwd):
        os.execv(sys.executable, [sys.executable, "-m", "stages.console", *sys.argv[1:]])
    run_and_leave(main)


if __name__ == "__main__":
    run_and_leave(main)
