"""The photos profile on the sample of real photos: the whole DAG at a small size, and how users get the data."""

import csv
import importlib.util
import json
import re
import shutil

import pytest
import yaml
from commands import succeed

from stages.runner.lists import derived

pytestmark = pytest.mark.slow
PER_CLASS = 7  # photos of each superclass and split: enough for every stage to have something to do


def small_tree(sample, folder):
    """A part of the sample in upstream's layout: photos with boxes, of each superclass and split."""
    source = sample / "clothing-dataset"
    split_of = {row["sender_id"]: row["split"] for row in csv.DictReader((sample / "splits.csv").open())}
    superclass = {
        row["image"]: row["superclass"] for row in csv.DictReader((sample / "clothing-dataset-boxes.csv").open())
    }
    rows = [row for row in csv.DictReader((source / "images.csv").open()) if row["image"] in superclass]
    counts: dict = {}
    (folder / "images").mkdir(parents=True)
    with (folder / "images.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["image", "sender_id", "label", "kids"])
        writer.writeheader()
        for row in rows:
            key = superclass[row["image"]], split_of[row["sender_id"]]
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= PER_CLASS:
                writer.writerow(row)
                shutil.copyfile(source / "images" / f"{row['image']}.jpg", folder / "images" / f"{row['image']}.jpg")
    return folder


def shrink(params):
    """One short epoch of everything; no salient boxes where their network is not installed."""
    if importlib.util.find_spec("rembg") is None:
        del params["salient"]
        params["crops"]["boxes"] = "detectors"
        params |= derived(params)
    params["detector"]["photos"] |= {"epochs": 1, "image_size": 96, "close_mosaic": 0}
    params["simclr"] |= {"epochs": 1, "image_size": 48, "batch": 16}
    params["classifier"] |= {"epochs": 1, "image_size": 48, "batch": 16}
    params["evaluate"] |= {"bootstrap_samples": 50}
    return params


def test_real_photos_go_from_the_upstream_tree_to_a_retrieval_table(checkout, sample):
    small_tree(sample, checkout / "data" / "raw" / "photos")
    succeed("python", "-m", "stages.run", "use", "photos", cwd=checkout)
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    (checkout / "params.yaml").write_text(yaml.safe_dump(shrink(params), sort_keys=False))
    succeed("dvc", "repro", cwd=checkout, SEAMLINE_TRACKING="off")
    metrics = checkout / "metrics" / "photos"
    report = checkout / "data" / "photos" / "report"
    accounts = json.loads((report / "statistics" / "accounts.json").read_text())
    images = accounts["ingested"]["photos"]["images"]
    assert images["rows_kept"] == images["rows_in"] > 80
    # One photo, one crop: in this profile nothing is left out because of what its label says.
    assert accounts["crops"]["photos"]["crops"]["rejected"] == {}
    scores = json.loads((report / "retrieval" / "classifier.json").read_text())["photos"]["whole_gallery"]
    assert scores["n_scored"] > 20
    assert 0 <= scores["hit_at_1"] <= 1
    assert json.loads((report / "classifier.json").read_text())["heads"]["type"]["rows"] > 20
    key_metrics = json.loads((metrics / "retrieval" / "labels" / "classifier.json").read_text())
    assert key_metrics == {"photos": {"hit@1": scores["hit_at_1"]}}


def test_the_dvc_import_command_of_the_readme_brings_the_data(checkout, sample, tmp_path):
    upstream = small_tree(sample, tmp_path / "clothing-dataset")
    succeed("git", "init", "--quiet", cwd=upstream)
    succeed("git", "add", "--all", cwd=upstream)
    succeed("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "x", cwd=upstream)
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^dvc import (\S+) (\S+ -o \S+)$", readme, re.MULTILINE)
    assert command, "the README gives no dvc import command"
    succeed("dvc", "import", str(upstream), *command[2].split(), cwd=checkout)
    assert "data/raw/photos.dvc" in succeed("git", "status", "--porcelain", "--untracked-files=all", cwd=checkout)
    succeed("python", "-m", "stages.run", "use", "photos", cwd=checkout)
    succeed("dvc", "repro", "ingest@photos", cwd=checkout, SEAMLINE_TRACKING="off")
    account = json.loads((checkout / "data" / "photos" / "ingested" / "photos" / "account.json").read_text())
    assert account["images"]["rows_kept"] > 80
