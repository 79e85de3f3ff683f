"""Run a stage of dvc.yaml or a command of the Makefile: ``python -m stages.run NAME [ARGUMENT ...]``.

The environment comes first: instruction set, threads, hash seed and allocator are fixed before the module, and with it
numpy or torch, is imported (stages/core/determinism.py). ``python -m stages.run`` lists the names.
"""

import os
import sys
import time
from importlib import import_module

from stages.core.determinism import start_process
from stages.runner.times import STARTED_VARIABLE

# Name of a stage in dvc.yaml -> the module that has its ``STAGE``.
STAGES = {
    "demo": "stages.demo.demo",
    "ingest": "stages.ingest.ingest",
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
    "ablation": "stages.classifier.ablation",
    "ablation_table": "stages.classifier.ablation_table",
    "benchmark": "stages.benchmarks.benchmark",
    "train_encoder": "stages.encoders.train_encoder",
    "training": "stages.report.training",
    "embed": "stages.retrieval.embed",
    "evaluate_retrieval": "stages.retrieval.evaluate_retrieval",
    "statistics": "stages.report.statistics",
    "leakage": "stages.report.leakage",
}
# Commands beside the DAG -> the module that has their ``main()``.
COMMANDS = {
    "use": "stages.profiles.use",
    "add": "stages.adding.add",
    "summary": "stages.report.summary",
    "review": "stages.report.review",
    "track": "stages.runner.tracking",
    "match": "stages.app.match",
    "audit": "stages.report.audit",
    "relabel": "stages.suspects.relabel",
    "ingest_report": "stages.report.ingest_report",
    "export_yolo": "stages.detection.export_yolo",
    "run_ablation": "stages.report.ablation_run",
    "run_seeds": "stages.report.seeds_run",
    "leaderboard_page": "stages.report.leaderboard_page",
    "classifier_page": "stages.report.classifier_page",
    "score_vectors": "stages.retrieval.external",
    "contact_sheet": "stages.report.contact_sheet",
    "plots_script": "stages.report.plots_script",
    "shortcut_check": "stages.report.shortcut_check",
}


def main() -> None:
    """Fix the environment, import the module that the name stands for, run it."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in STAGES | COMMANDS:
        wrong = f"ERROR no stage or command {name!r}.\n" if name and not name.startswith("-") else ""
        print(f"{wrong}{__doc__}\nStages: {', '.join(STAGES)}.\nCommands: {', '.join(COMMANDS)}.", file=sys.stderr)
        sys.exit(2 if wrong or not name else 0)
    os.environ.setdefault(STARTED_VARIABLE, str(time.time()))
    start_process()
    del sys.argv[1]
    sys.argv[0] = f"stages.run {name}"
    if name in STAGES:
        import_module(STAGES[name]).STAGE.run()
    else:
        import_module(COMMANDS[name]).main()


if __name__ == "__main__":
    main()
