"""Label names through the whole path and back: upstream's value -> merge table -> vocabulary -> class index -> training ->
encoder card -> predicted name, and the confusion table. The published color matrix is permuted: somewhere on this path
an order of classes changed. Here any such change makes the check fail, which the last tests prove by making one.
"""

import csv
import shutil
from argparse import Namespace
from collections import Counter
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from places import TABLES
from safetensors.torch import load_file, save_file
from small_classifier import RUNTIME

from profiles import composed
from stages.classifier import evaluate_classifier as evaluate
from stages.classifier.training import train_classifier as train
from stages.contracts.images import encode_jpeg
from stages.contracts.ledger import Account
from stages.contracts.tables import CROPS, read_shards, write_shards
from stages.core.files import read_json, write_json
from stages.crops.dataset import vocabulary
from stages.labels import fashion_products
from stages.labels.merging import read_label_tables
from stages.labels.params import LabelParams
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder
from stages.networks.classifier import ClassifierEncoder, ClassifierParams

# Upstream's value -> what the crop shows of it, and the name that must come back. Written down by hand, not read from
# the tables; in an order that is neither the tables' nor the alphabet's.
COLORS = {
    "Mustard": ((225, 173, 1), "Yellow"),
    "Navy Blue": ((0, 0, 128), "Blue"),
    "Maroon": ((128, 0, 0), "Red"),
    "Olive": ((60, 130, 30), "Green"),
}
TYPES = {"Tshirts": (255, "T-Shirts"), "Casual Shoes": (128, "Casual Shoes"), "Jeans": (0, "Jeans")}
SUBCATEGORIES = {"Tshirts": "Topwear", "Casual Shoes": "Shoes", "Jeans": "Bottomwear"}
GROUPS = {"T-Shirts": "Topwear", "Casual Shoes": "Footwear", "Jeans": "Bottomwear"}
SPLITS = ("train", "train", "val", "test")  # copies of every combination of color and type
HEADS = ("color", "type")
LABELS = LabelParams.model_validate(
    {
        "policies": {"products": "fashion_products"},
        "gender_policy": "drop_row",
        "group_superclass": {"Topwear": "top"},
        "catalogues": {},
    }
)


def crop(color: str, article: str) -> bytes:
    """Above the color, below a gray that says the type."""
    array = np.full((32, 32, 3), TYPES[article][0], np.uint8)
    array[:16] = COLORS[color][0]
    return encode_jpeg(Image.fromarray(array))


def products() -> pd.DataFrame:
    """Fashion Products' rows as ingest hands them on."""
    rows = [
        {"item_id": f"{color} {article} {copy}", "split": split, "gender": "Men", "usage": "Casual",
         "subCategory": SUBCATEGORIES[article], "articleType": article, "baseColour": color}
        for color in COLORS for article in TYPES for copy, split in enumerate(SPLITS)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(image_id=frame["item_id"], group_id=frame["item_id"], cluster=frame["item_id"])


def make_dataset(tables: Path, out: Path) -> None:
    """Upstream's rows through the label policy and the vocabulary into a data set."""
    items = products()
    account = Account("products")
    account.ledger("items").rows_in = len(items)
    labels = fashion_products.label(items, read_label_tables(tables), LABELS, account)
    upstream = items.set_index("item_id")
    rows = []
    for row in labels.to_dict("records"):
        raw = upstream.loc[row["item_id"]]
        rows.append(
            dict.fromkeys(CROPS.names)
            | {key: value for key, value in row.items() if key in CROPS.names}
            | {"crop_id": row["item_id"], "source": "products", "detected_class": "top", "width": 32, "height": 32,
               "bytes": crop(raw["baseColour"], raw["articleType"])}
        )  # fmt: skip
    write_shards(out, CROPS, rows, "crop_id", 2)
    write_json(out / "vocabulary.json", vocabulary(rows))


def train_on(folder: Path, tables: Path) -> None:
    """Data set, backbone and classifier in ``folder``."""
    make_dataset(tables, folder / "dataset")
    (folder / "simclr").mkdir(parents=True)
    torch.manual_seed(0)
    save_encoder(Backbone("test_efficientnet", "none"), {"backbone": "test_efficientnet"}, folder / "simclr")
    values = deepcopy(composed("demo")["classifier"])
    small = {"heads": list(HEADS), "image_size": 32, "projection": 64, "hidden": [32, 32], "dropout": 0.0, "batch": 8,
             "epochs": 30, "learning_rate": 0.01, "backbone_learning_rate": 0.001, "pooling": "stages", "color_heads": [],
             "detector_class": "none", "freeze_backbone": False, "cached_views": 0, "average": 0.0}  # fmt: skip
    # Nothing that makes learning by heart harder.
    small |= {"focal_share": 0.0, "class_weights": False, "label_smoothing": 0.0}
    values["augment"] |= dict.fromkeys(("blur", "brightness", "contrast", "jpeg"), 0.0)
    options = ClassifierParams.model_validate(values | small)
    args = Namespace(dataset=folder / "dataset", simclr=folder / "simclr", tables=tables, out=folder / "model")
    train.main(args, SimpleNamespace(classifier=options, runtime=RUNTIME))


def expected(item_id: str) -> dict[str, str]:
    """The names that must come back for an item, by what upstream says of it."""
    color = next(name for name in COLORS if item_id.startswith(name))
    article = next(name for name in TYPES if item_id.startswith(f"{color} {name}"))
    return {"color": COLORS[color][1], "type": TYPES[article][1]}


def check(folder: Path) -> None:
    """Every predicted name, and every line of the confusion tables, is the one that upstream's value stands for."""
    rows = [row for row in read_shards(folder / "dataset").to_pylist() if row["split"] == "test"]
    rows.sort(key=lambda row: row["crop_id"])
    encoder = ClassifierEncoder(folder / "model")
    found = encoder.attributes(encoder.pixels.decode([row["bytes"] for row in rows]), ["top"] * len(rows))
    names = [{head: one[head][0] for head in HEADS} for one in found]
    assert names == [expected(row["crop_id"]) for row in rows]

    places = {name: folder / name for name in ("dataset", "model", "metrics", "plots", "report")}
    args = Namespace(tables=TABLES, **places)
    evaluate.main(args, SimpleNamespace(labels=LABELS))
    for head in HEADS:
        right = Counter((name, name) for name in (expected(row["crop_id"])[head] for row in rows))
        assert read_counts(folder / "plots/confusion.csv", head) == right
    groups = Counter((GROUPS[one["type"]],) * 2 for one in names)
    assert read_counts(folder / "plots/confusion.csv", "type_group") == groups
    accuracy = read_json(folder / "metrics/accuracy.json")
    assert accuracy == dict.fromkeys([*HEADS, "type_group", "mean"], 1.0)
    assert set(read_json(folder / "metrics/given_class.json")) == set(accuracy)


def read_counts(path: Path, panel: str) -> Counter:
    with path.open(encoding="utf-8") as stream:
        lines = [line for line in csv.DictReader(stream) if line["panel"] == panel]
    return Counter({(line["actual"], line["predicted"]): int(line["rows"]) for line in lines})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project in which everything was done right."""
    folder = tmp_path_factory.mktemp("round_trip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEAMLINE_DEVICE", "cpu")
        patch.chdir(folder)
        (folder / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
        threads = torch.get_num_threads()
        train_on(folder, TABLES)
        yield folder
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)


@pytest.fixture
def copy(trained, tmp_path, monkeypatch):
    """A copy of it, to be damaged."""
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.slow
def test_names_come_back_as_upstream_gave_them(copy):
    check(copy)
    assert read_json(copy / "metrics/majority.json")["type_group"] == pytest.approx(1 / 3, abs=1e-6)


def rotated(names: list[str]) -> list[str]:
    return [*names[1:], names[0]]


def permute_card(folder: Path) -> None:
    """The card names the classes in another order than training did."""
    card = read_json(folder / "model/encoder.json")
    card["classes"]["color"] = rotated(card["classes"]["color"])
    write_json(folder / "model/encoder.json", card)


def permute_indices(folder: Path) -> None:
    """Training took the class indices from another order: the rows of the head's layer are another's."""
    path = folder / "model/weights.safetensors"
    state = load_file(path)
    names = [name for name in state if "head_color" in name]
    assert names
    for name in names:
        state[name] = state[name].roll(1, dims=0).contiguous()
    save_file(state, path)


def permute_labels_of_the_data_set(folder: Path) -> None:
    """The data set's colors were merged by a table in which each color has its neighbor's name."""
    tables = permuted_tables(folder)
    shutil.rmtree(folder / "dataset")
    make_dataset(tables, folder / "dataset")


def permuted_tables(folder: Path) -> Path:
    shutil.copytree(TABLES, folder / "tables")
    table = pd.read_csv(folder / "tables/colors.csv", dtype=str, keep_default_na=False)
    names = [name for _, name in COLORS.values()]
    table["color"] = table["color"].replace(dict(zip(names, rotated(names), strict=True)))
    table.to_csv(folder / "tables/colors.csv", index=False)
    return folder / "tables"


def swap_two_types(folder: Path) -> None:
    """One transposition is enough."""
    card = read_json(folder / "model/encoder.json")
    names = card["classes"]["type"]
    card["classes"]["type"] = [names[1], names[0], *names[2:]]
    write_json(folder / "model/encoder.json", card)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [permute_card, permute_indices, permute_labels_of_the_data_set, swap_two_types])
def test_a_permuted_order_anywhere_fails_the_check(copy, damage):
    damage(copy)
    with pytest.raises(AssertionError):
        check(copy)


def best_validation_accuracy(folder: Path) -> float:
    return pd.read_csv(folder / "model/history.csv")["val_mean_accuracy"].max()


@pytest.mark.slow
def test_a_permuted_merge_table_before_training_fails_the_check(copy, tmp_path):
    train_on(tmp_path / "again", permuted_tables(copy))
    assert best_validation_accuracy(tmp_path / "again") == 1  # training itself cannot see it
    with pytest.raises(AssertionError):
        check(tmp_path / "again")


@pytest.mark.slow
def test_targets_of_another_order_in_training_fail_the_check(copy, tmp_path, monkeypatch):
    prepare = train.prepare

    def permuted(frame, classes, *rest):
        return prepare(frame, classes | {"color": rotated(classes["color"])}, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train, "prepare", permuted)
        train_on(tmp_path / "again", TABLES)
    assert best_validation_accuracy(tmp_path / "again") == 1  # training itself cannot see it
    with pytest.raises(AssertionError):
        check(tmp_path / "again")
