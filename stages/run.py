"""Run a stage of dvc.yaml or a command of the Makefile: ``python -m stages.run NAME [ARGUMENT ...]``.

The environment comes first: instruction set, threads, hash seed and allocator are fixed before the module is imported,
because importing it imports numpy or torch (stages/core/determinism.py). ``python -m stages.run`` lists the names.
People use ``seamline`` (stages/console.py), which starts commands by the same function.
"""

import atexit
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from stages.core.determinism import start_process
from stages.runner.times import STARTED_VARIABLE

# Name of a stage in dvc.yaml -> the module that has its ``STAGE``.
STAGES = {
    "demo": "stages.demo.demo",
    "ingest": "stages.ingest.ingest",
    "salient": "stages.salient.salient",
    "boxes": "stages.detection.boxes",
    "train_detector": "stages.detection.training.train_detector",
    "evaluate_detector": "stages.detection.evaluate_detector",
    "labels": "stages.labels.labels",
    "crops": "stages.crops.crops",
    "dataset": "stages.crops.dataset",
    "pretrain": "stages.simclr.pretrain",
    "evaluate_pretrain": "stages.simclr.evaluate_pretrain",
    "suspects": "stages.suspects.suspects",
    "train_classifier": "stages.classifier.training.train_classifier",
    "evaluate_classifier": "stages.classifier.evaluate_classifier",
    "evaluate_salient": "stages.salient.evaluate_salient",
    "ablation": "stages.classifier.ablation",
    "ablation_table": "stages.classifier.ablation_table",
    "benchmark": "stages.benchmarks.benchmark",
    "train_encoder": "stages.encoders.train_encoder",
    "training": "stages.report.training",
    "embed": "stages.retrieval.embed",
    "evaluate_retrieval": "stages.retrieval.evaluate_retrieval",
    "statistics": "stages.report.statistics",
    "leakage": "stages.leakage.leakage",
    "report": "stages.page.report",
}
# Name of a command that is no stage -> the module that has their ``main()``.
COMMANDS = {
    "use": "stages.profiles.use",
    "add": "stages.adding.add",
    "summary": "stages.report.summary",
    "review": "stages.report.review",
    "trace": "stages.page.trace",
    "track": "stages.runner.tracking",
    "match": "stages.app.match",
    "find": "stages.app.find",
    "wardrobe": "stages.app.command",
    "app": "stages.web.serve",
    "doc_pictures": "stages.web.doc_pictures",
    "audit": "stages.report.audit",
    "composed": "stages.composed.composed",
    "relabel": "stages.suspects.relabel",
    "ingest_report": "stages.report.ingest_report",
    "export": "stages.export.export",
    "export_yolo": "stages.detection.export_yolo",
    "run_ablation": "stages.report.run_ablation",
    "run_seeds": "stages.report.run_seeds",
    "leaderboard_page": "stages.report.leaderboard_page",
    "classifier_page": "stages.report.classifier_page",
    "doc_tables": "stages.report.doc_tables",
    "model_card": "stages.export.model_card",
    "score_vectors": "stages.retrieval.score_vectors",
    "contact_sheet": "stages.report.contact_sheet",
    "plots_file": "stages.report.plots_file",
    "plots_script": "stages.report.plots_script",
    "shortcut_check": "stages.report.shortcut_check",
    "push": "stages.sharing.push",
    "pull": "stages.sharing.pull",
    "verify": "stages.sharing.verify",
}


def start(name: str, program: str, arguments: Sequence[str]) -> None:
    """Fix the environment, import the module that a name of ``STAGES`` or ``COMMANDS`` stands for, run it.

    Args:
        name: of the stage or command.
        program: what its help and its messages call it.
        arguments: its command line.
    """
    os.environ.setdefault(STARTED_VARIABLE, str(time.time()))
    start_process()
    sys.argv = [program, *arguments]
    from stages.runner.stage import one_message  # not before the environment is fixed

    with one_message():  # tables/heads.csv is read
        module = import_module((STAGES | COMMANDS)[name])
    if name in STAGES:
        module.STAGE.run()
    else:
        module.main()


def main() -> None:
    """``python -m stages.run``: the first argument says what runs."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in STAGES | COMMANDS:
        wrong = f"ERROR no stage or command {name!r}.\n" if name and not name.startswith("-") else ""
        print(f"{wrong}{__doc__}\nStages: {', '.join(STAGES)}.\nCommands: {', '.join(COMMANDS)}.", file=sys.stderr)
        sys.exit(2 if wrong or not name else 0)
    start(name, f"stages.run {name}", sys.argv[2:])


def run_and_leave(run: Callable[[], None]) -> NoReturn:
    """Run, call the registered exit handlers, and end the process without Python's own shutdown.

    That shutdown frees object by object what the system frees at once, and takes a second if torch was imported. It can
    also abort a process that torchrun started: DistributedDataParallel holds the process group until then, and gloo's
    threads may fail after everything was written.
    """
    status = 0
    try:
        run()
    except SystemExit as ended:
        if isinstance(ended.code, str):  # Python prints it
            raise
        status = ended.code or 0
    atexit._run_exitfuncs()
    with suppress(BrokenPipeError):  # whoever read the output has ended
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run_and_leave(main)
