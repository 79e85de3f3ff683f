"""Own data from a folder of photos and a table to the retrieval table, in two commands, on real photos."""

import csv
import json
import os
import shutil

import pytest
from commands import succeed

pytestmark = pytest.mark.slow
PHOTOS = 64


def small_shop(sample, folder):
    """Photos of the sample by sender, whole senders, with their table; one label has one photo."""
    rows = list(csv.DictReader((sample / "clothing-dataset" / "images.csv").read_text().splitlines()))
    senders: dict = {}
    for row in rows:
        if row["label"] in ("T-Shirt", "Pants", "Shoes", "Dress", "Not sure"):
            senders.setdefault(row["sender_id"], []).append(row)
    chosen = [row for sender in sorted(senders, key=int)[:32] for row in senders[sender][:2]][: PHOTOS - 1]
    chosen.append(next(row for row in rows if row["label"] == "Blouse"))
    (folder / "images").mkdir(parents=True)
    with (folder / "images.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["image", "sender_id", "label", "kids"])
        writer.writeheader()
        for row in chosen:
            source = sample / "clothing-dataset" / "images" / f"{row['image']}.jpg"
            writer.writerow(row)
            shutil.copyfile(source, folder / "images" / source.name)
    return chosen


def test_a_folder_with_a_table_reaches_the_retrieval_table_in_two_commands(checkout, sample, tmp_path):
    chosen = small_shop(sample, tmp_path / "shop")
    said = succeed("python", "-m", "stages.run", "add", "mystore", str(tmp_path / "shop"), cwd=checkout)
    assert f"column `image`: {len(chosen)} of {len(chosen)} rows find a file" in said
    assert "column `label`" in said and "column `sender_id`" in said
    # What `make repro PROFILE=mystore` runs.
    succeed("python", "-m", "stages.run", "use", "mystore", cwd=checkout)
    succeed("dvc", "repro", cwd=checkout, SEAMLINE_TRACKING="off")
    report = checkout / "data" / "mystore" / "report"
    garments = sum(row["label"] != "Not sure" for row in chosen)
    accounts = json.loads((report / "statistics" / "accounts.json").read_text())
    assert accounts["crops"]["mystore"]["crops"]["rows_kept"] == garments
    for encoder in ("simclr", "classifier", "untrained", "imagenet"):
        scores = json.loads((report / "retrieval" / f"{encoder}.json").read_text())["mystore"]["whole_gallery"]
        assert scores["n_scored"] > 3 and 0 <= scores["hit_at_1"] <= 1
    page = (checkout / "report" / "mystore" / "index.html").read_text(encoding="utf-8")
    assert "This profile has no detector." in page and "raw/mystore" in page and '"rankings":' in page
    said = succeed("python", "-m", "stages.run", "ingest_report", "mystore", cwd=checkout)
    assert "download" not in said and f"items: {len(chosen)} rows in, {len(chosen)} kept" in said
    # Photos are never for git; the profile and the label table are, if their owner wants to.
    untracked = succeed("git", "status", "--porcelain", "--untracked-files=all", cwd=checkout)
    assert "profiles/mystore.yaml" in untracked and "tables/mystore_labels.csv" in untracked
    assert not any(line.endswith((".jpg", ".parquet")) or "data/raw" in line for line in untracked.splitlines())
    # A photo that changes is seen through the link.
    photo = next((tmp_path / "shop" / "images").iterdir())
    shutil.copyfile(next(path for path in (tmp_path / "shop" / "images").iterdir() if path != photo), photo)
    os.utime(photo)
    assert "ingest@mystore" in succeed("dvc", "status", cwd=checkout)
