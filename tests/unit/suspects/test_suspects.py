"""The stage on a small data set whose pictures tell the label: a planted error comes first, with what it rather is."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import CROPS, write_rows, write_shards
from stages.crops.dataset import ITEMS
from stages.suspects import suspects as module
from stages.suspects.suspects import SuspectsParams, main

COLORS = {"Red": (220, 20, 20), "Green": (20, 200, 20), "Blue": (20, 20, 220)}
WRONG = 17  # this item is red, and its label says Green
PARAMS = SimpleNamespace(suspects=SuspectsParams(image_size=32, fit="pad", pooling="last", extra_backbones=[]))


def means(pictures, simclr, params):
    """Stands for the network: the mean color of each picture."""
    draw = np.random.default_rng(0)
    colors = [np.asarray(Image.open(io.BytesIO(picture))).mean((0, 1)) for picture in pictures]
    return (np.array(colors) + draw.normal(scale=8, size=(len(colors), 3))).astype(np.float32)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(*lines)``: the table of suspects, with these lines in relabel.csv."""
    rows = []
    for number in range(60):
        name = list(COLORS)[number % 3]
        shown = "Red" if number == WRONG else name
        rows.append({
            "crop_id": f"shop:{number}", "item_id": str(number), "image_id": str(number), "source": "shop",
            "split": ("train", "val", "test")[number % 4 % 3], "group_id": f"sender{number // 2}",
            "cluster": str(number), "superclass": "top", "color": "Green" if number == WRONG else name,
            "type": "Tops" if number < 30 else None, "bytes": encode_jpeg(Image.new("RGB", (40, 50), COLORS[shown])),
        })  # fmt: skip
    write_shards(tmp_path / "dataset", CROPS, iter(rows), "crop_id", 2)
    items = [row | {"outcome": "matched", "picture": f"shop/{row['image_id']}"} for row in rows]
    write_rows(
        tmp_path / "dataset/items.parquet", ITEMS, [{name: item.get(name) for name in ITEMS.names} for item in items]
    )
    monkeypatch.setattr(module, "features", means)

    def make(*lines):
        relabel = tmp_path / "relabel.csv"
        relabel.write_text("\n".join(["source,item_id,column,value,reason", *lines, ""]))
        args = SimpleNamespace(
            dataset=tmp_path / "dataset", simclr=tmp_path, relabel=relabel, out=tmp_path / "out", metrics=tmp_path / "m"
        )
        main(args, PARAMS)
        return pd.read_csv(tmp_path / "out/suspects.csv", dtype=str)

    return make


def test_planted_error_comes_first_with_what_it_rather_is(run, tmp_path):
    table = run()
    first = table.iloc[0]
    assert (first["item_id"], first["label"], first["suggestion"]) == (str(WRONG), "Green", "Red")
    assert first["reason"] == "both" and first["rank"] == "1" and float(first["confidence"]) > 0.6
    assert set(table["head"]) == {"color"}  # one class of type is no question
    lines = (tmp_path / "out/relabel_suggestions.csv").read_text().splitlines()
    assert lines[0] == "source,item_id,column,value,reason"
    assert lines[1].startswith(f'shop,{WRONG},color,Red,"suspects 0.') and lines[1].endswith('by both, was Green"')
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg")) == ["suspects_color.jpg"]
    assert json.loads((tmp_path / "m/accuracy.json").read_text())["color"] > 0.8


@pytest.mark.parametrize("value", ["Red", "Green"])
def test_label_that_a_person_corrected_or_confirmed_is_not_suspected(run, value):
    assert str(WRONG) in set(run(f"shop,{WRONG},type,Tops,another column")["item_id"])
    assert str(WRONG) not in set(run(f"shop,{WRONG},color,{value},looked at")["item_id"])


def test_two_runs_write_the_same_bytes(run, tmp_path):
    def files():
        run()
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    assert files() == files()
