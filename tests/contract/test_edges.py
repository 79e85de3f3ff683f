"""What a changed file makes DVC run, against what it should: a comment must not retrain a detector."""

from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).resolve().parents[2]
EVERY = "every stage"
DETECTING = {"train_detector", "evaluate_detector", "crops", "benchmark"}
# A file of each package -> the stages that run when it changes.
SHOULD_RUN = {
    "app/wardrobe.py": set(),
    "benchmarks/from_dataset.py": {"benchmark"},
    "classifier/evaluate_classifier.py": {"evaluate_classifier"},
    "classifier/error_analysis.py": {"evaluate_classifier"},
    "classifier/training/trainer.py": {"train_classifier", "evaluate_classifier"},
    "composed/pictures.py": set(),
    "contracts/ledger.py": {"ingest", "boxes", "evaluate_detector", "labels", "crops", "dataset", "benchmark", "pretrain",
                            "evaluate_pretrain", "train_classifier", "evaluate_classifier", "train_encoder", "embed",
                            "evaluate_retrieval", "statistics", "leakage", "suspects", "report"},
    "core/files.py": EVERY,
    "crops/dataset.py": {"dataset"},
    "demo/drawing/canvas.py": {"demo"},
    "demo/sources/shoes.py": {"demo"},
    "demo/truth.py": {"demo"},
    "detection/boxes.py": {"boxes", "evaluate_detector"},
    "detection/training/train_detector.py": {"train_detector", "evaluate_detector"},
    "encoders/fir.py": {"train_encoder"},
    "export/reader.py": set(),
    "ingest/fingerprint.py": {"ingest", "dataset", "leakage"},
    "ingest/readers/voc.py": {"ingest"},
    "labels/merging.py": {"labels", "evaluate_classifier"},
    "leakage/same_item.py": {"leakage"},
    "learning/knn.py": {"pretrain", "evaluate_pretrain", "train_classifier", "evaluate_classifier", "train_encoder", "embed"},
    "networks/backbones/colors.py": {"pretrain", "evaluate_pretrain", "train_classifier", "evaluate_classifier",
                                     "train_encoder", "embed", "suspects", "leakage"},
    "networks/classifier.py": {"train_classifier", "evaluate_classifier", "embed"},
    "networks/detector/model.py": DETECTING | {"embed"},
    "networks/encoders/attention/recommend.py": {"train_encoder", "embed", "evaluate_retrieval"},
    "networks/encoders/metric_learning.py": {"train_encoder", "embed"},
    "networks/load.py": {"embed"},
    "adding/add.py": set(),
    "sharing/verify.py": set(),
    "page/lookup.py": {"report"},
    "page/templates/page.js": {"report"},
    "profiles/compose.py": set(),
    "report/audit.py": set(),
    "retrieval/embed.py": {"embed", "evaluate_retrieval", "report"},
    "retrieval/embedding.py": {"embed", "evaluate_retrieval", "report"},
    "retrieval/index.py": {"embed", "evaluate_retrieval", "report"},
    "retrieval/ranking.py": {"evaluate_retrieval", "report"},
    "runner/tracking.py": set(),
    "salient/network.py": set(),  # in profiles with `salient` alone
    "simclr/model.py": {"pretrain", "evaluate_pretrain"},
    "suspects/witnesses.py": {"suspects"},
    "web/site.py": set(),
    "run.py": set(),
}  # fmt: skip


@pytest.fixture(scope="module")
def stages():
    """Stage -> the paths that it depends on, of those that DVC does not ignore."""
    with Repo(str(ROOT)) as repo:
        ignored = repo.dvcignore
        deps = {}
        for stage in repo.index.stages:
            paths = {Path(dep.fs_path) for dep in stage.deps if dep.protocol != "params"}
            deps.setdefault(stage.addressing.partition("@")[0], set()).update(paths)
        yield deps, lambda path: ignored.is_ignored_file(str(path))


@pytest.mark.parametrize("file", SHOULD_RUN)
def test_a_changed_file_makes_those_stages_run_that_it_concerns(stages, file):
    deps, ignored = stages
    path = ROOT / "stages" / file
    assert path.is_file()
    runs = {name for name, paths in deps.items() if any(one == path or one in path.parents for one in paths)}
    runs = set() if ignored(path) else runs
    assert runs == (set(deps) if SHOULD_RUN[file] == EVERY else SHOULD_RUN[file])


def test_every_package_has_a_file_here():
    packages = {path.parent.relative_to(ROOT / "stages").as_posix() for path in (ROOT / "stages").rglob("*.py")}
    here = {Path(file).parent.as_posix() for file in SHOULD_RUN if file.endswith(".py")}
    assert packages == here


def test_dvc_passes_over_names_that_are_no_text_and_over_no_other():
    with Repo(str(ROOT)) as repo:
        for name in ("caf\udce9.jpg", "\udcff", "a\udc80\udc81.xml"):
            assert repo.dvcignore.is_ignored_file(str(ROOT / "data/raw/x" / name)), ascii(name)
            assert repo.dvcignore.is_ignored_dir(str(ROOT / "data/raw/x" / name)), ascii(name)
        for name in (
            "a.jpg",
            "caf\u00e9.jpg",
            "Blu\u0301se.xml",
            "\u5e3d\u5b50 (2).png",
            "\U0001f9e2.jpg",
            "a\tb",
            "[!x]",
        ):
            assert not repo.dvcignore.is_ignored_file(str(ROOT / "data/raw/x" / name)), name
