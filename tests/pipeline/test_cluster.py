"""Data stages on a cluster of three machines on loopback write the bytes that they write on this machine alone.

Ray is no requirement of the project, so `.ci/run` sets SEAMLINE_CLUSTER=off and leaves these tests to `make test-slow`
of an environment with requirements-cluster.txt.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import run
from ray_cluster import ray_cluster
from small_demo import draw
from small_models import write_classifier, write_detector, write_frozen

from stages.contracts.tables import BENCHMARK, read_shards, write_rows
from stages.runner.lists import LISTS, SECTIONS, derived

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "deepfashion_mm"
TABLES = str(ROOT / "tables")
MACHINES = 3


@pytest.fixture(scope="module")
def cluster():
    if os.environ.get("SEAMLINE_CLUSTER") == "off":
        pytest.skip("SEAMLINE_CLUSTER is off")
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install -r requirements-cluster.txt")
    with ray_cluster(MACHINES) as started:
        yield started


class Project:
    """A folder with params of one small source, whose stages run on this machine or on the cluster."""

    def __init__(self, folder, cluster):
        self.folder, self.cluster = folder, cluster
        draw(SOURCE, folder / "raw")
        (folder / "annotations").mkdir()
        for name, side in (("clothes", 96), ("more", 64)):
            write_detector(folder / "models/detectors" / name, side)
        write_classifier(folder / "models/encoders/classifier")
        write_frozen(folder / "models/encoders/plain")

    def params(self, engine):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        for key in LISTS:
            params[key] = [SOURCE] if key in ("sources", "label_sources") else []
        for key, named in SECTIONS.items():
            params[key] = {name: params[key][name] for name in named(params)}
        params |= {"profile": "small", "detectors": ["clothes", "more"], "encoders": ["classifier", "plain"],
                   "benchmarks": ["one", "two"], "benchmark": {"one": {}, "two": {}}}  # fmt: skip
        params["detector"] = {"clothes": {}, "more": {}}
        params["encoder"] = {"plain": {}}
        params |= derived(params)
        params["ingest"][SOURCE]["shards"] = 7
        # Untrained detectors find hundreds of boxes: those that overlap at all are removed, and no item shares out the rest.
        params["nms"] = {"iou": 0.01, "per_class": False}
        params["crops"] |= {"confidence": 0.3, "batch": 2, "assignment": "each_alone"}
        params["runtime"] |= {"threads": 1, "engine": engine}
        return params

    def start(self, engine, name, *arguments):
        """The process of a stage whose out is <name> in the folder of the engine."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params(engine)), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "RAY_"))}
        environment |= {"PYTHONPATH": str(ROOT), "SEAMLINE_TRACKING": "off", "SEAMLINE_DEVICE": "cpu"}
        environment |= self.cluster.environment if engine == "ray" else {}
        command = [sys.executable, "-m", "stages.run", name, *arguments, f"{engine}/{name}"]
        return subprocess.Popen(command, cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True)

    def run(self, engine, name, *arguments, meanwhile=None):
        """What a stage logs; the files of its out."""
        process = self.start(engine, name, *arguments)
        try:
            if meanwhile:
                meanwhile()
            _, log = process.communicate(timeout=600)
        finally:
            process.kill()
        assert process.returncode == 0, log
        out = self.folder / engine / name
        files = {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
        assert files
        return log, files

    def both(self, name, *arguments, meanwhile=None):
        """What a stage logs on the cluster, after a check that both engines give the same files."""
        _, expected = self.run("local", name, *arguments)
        log, files = self.run("ray", name, *arguments, meanwhile=meanwhile)
        assert f"workers on {MACHINES} machines" in log
        assert files == expected
        return log


@pytest.fixture(scope="module")
def project(cluster, tmp_path_factory):
    return Project(tmp_path_factory.mktemp("cluster"), cluster)


@pytest.mark.slow
def test_stages_write_the_same_bytes_on_a_cluster_though_a_worker_is_killed(project):
    log = project.both("ingest", SOURCE, f"raw/{SOURCE}", "annotations", TABLES)
    assert "a worker was lost" not in log
    _, ingested = project.run("local", "ingest", SOURCE, f"raw/{SOURCE}", "annotations", TABLES)
    assert sum(path.name.startswith("shard-") for path in ingested) == 7

    project.run("local", "labels", SOURCE, "local/ingest", TABLES, str(ROOT / "data/relabel.csv"))
    crops = (SOURCE, "local/labels", "local/ingest", "models/detectors")
    log = project.both("crops", *crops, meanwhile=project.cluster.kill_a_worker_that_computes)
    assert log.count("a worker was lost") == 1, log

    rows = [
        dict(zip(BENCHMARK.names, (row["crop_id"], row["item_id"], "top", row["superclass"], row["bytes"], None), strict=True))
        for row in read_shards(project.folder / "local/crops").to_pylist()
    ]  # fmt: skip
    assert len(rows) > 20
    for number, name in enumerate(("one", "two")):
        write_rows(project.folder / f"benchmarks/{name}/queries.parquet", BENCHMARK, rows[number::4])
        write_rows(project.folder / f"benchmarks/{name}/gallery.parquet", BENCHMARK, rows[2 + number :: 4])
    _, expected = project.run("local", "embed", "benchmarks", "models/encoders")
    (project.folder / ".work").rename(project.folder / "work-of-local")  # with its vectors
    log, files = project.run("ray", "embed", "benchmarks", "models/encoders")
    assert "had 0 of 4 pairs" in log and files == expected and len(files) == 8


@pytest.mark.slow
def test_a_stage_completes_though_a_machine_is_lost(project):
    project.run("local", "ingest", SOURCE, f"raw/{SOURCE}", "annotations", TABLES)
    project.run("local", "labels", SOURCE, "local/ingest", TABLES, str(ROOT / "data/relabel.csv"))
    crops = (SOURCE, "local/labels", "local/ingest", "models/detectors")
    log = project.both("crops", *crops, meanwhile=project.cluster.lose_a_machine_that_computes)
    assert "a worker was lost" in log


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_one_message(project):
    (project.folder / "params.yaml").write_text(yaml.safe_dump(project.params("ray")), encoding="utf-8")
    arguments = ("ingest", SOURCE, f"raw/{SOURCE}", "annotations", TABLES, "nowhere")
    done = run(sys.executable, "-m", "stages.run", *arguments, cwd=project.folder,
               PYTHONPATH=str(ROOT), RAY_ADDRESS="127.0.0.1:9", SEAMLINE_TRACKING="off")  # fmt: skip
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1 and "RAY_ADDRESS=127.0.0.1:9: no cluster answers" in errors[0], done.stderr
