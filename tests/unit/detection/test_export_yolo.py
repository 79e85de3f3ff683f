"""`make export-yolo`: a directory that other tools read."""

import shutil
from pathlib import Path

import pytest
import yaml
from five_boxes import FIVE, params, stage

from stages.contracts.tables import BOXES, read_table
from stages.detection import export_yolo


def exported(ingested, monkeypatch):
    """What the command writes for a profile that has ingested ``ingested``, and the detector's params."""
    monkeypatch.chdir(ingested.parent)
    detector = params().model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump({"profile": "mine", "detector": {"deepfashion2": detector}}))
    shutil.copytree(ingested, "data/mine/ingested/deepfashion2")
    shutil.copytree(stage(ingested), "data/mine/boxes/deepfashion2")
    monkeypatch.setattr("sys.argv", ["export_yolo", "deepfashion2", "moved/later"])
    export_yolo.main()
    return Path("moved/later").rename("moved/now")


def test_exported_directory_is_read_back_by_ultralytics_with_the_same_boxes_and_names(ingested, monkeypatch):
    """An independent reader; the directory was moved after it was written, as a user may do."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    root = exported(ingested, monkeypatch)
    data = check_det_dataset(str((root / "data.yaml").absolute()), autodownload=False)
    assert data["names"] == dict(enumerate(FIVE))
    found = {}
    for split in ("train", "val", "test"):
        for row in YOLODataset(img_path=data[split], data=data, imgsz=32, task="detect").labels:
            image = Path(row["im_file"]).stem
            for number, box in zip(row["cls"][:, 0], row["bboxes"], strict=True):
                found.setdefault((split, image, data["names"][int(number)]), []).append(box.tolist())
    table = read_table(stage(ingested) / "boxes.parquet", BOXES).to_pylist()
    assert len(table) == sum(map(len, found.values())) == 4
    for row in table:
        (box,) = found[row["split"], row["image_id"], row["superclass"]]
        assert box == pytest.approx([row["cx"], row["cy"], row["w"], row["h"]], abs=1e-6)


def test_export_into_a_folder_with_files_is_one_message(ingested, monkeypatch, capsys):
    exported(ingested, monkeypatch)
    monkeypatch.setattr("sys.argv", ["export_yolo", "deepfashion2", "moved/now"])
    with pytest.raises(SystemExit):
        export_yolo.main()
    assert "moved/now: is there already and not an empty folder" in capsys.readouterr().err


def test_export_of_an_unknown_detector_is_one_message(ingested, monkeypatch, capsys):
    exported(ingested, monkeypatch)
    monkeypatch.setattr("sys.argv", ["export_yolo", "gloves", "elsewhere"])
    with pytest.raises(SystemExit):
        export_yolo.main()
    assert "`detector.gloves` is missing" in capsys.readouterr().err
