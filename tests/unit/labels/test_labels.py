"""The stage from an ingested folder to labels.parquet, and corrections by hand."""

import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from places import TABLES

from stages.contracts.tables import LABELS, REJECTS, read_table
from stages.core.errors import StageError
from stages.labels.labels import apply_corrections, main, read_corrections


@pytest.fixture
def run(tmp_path, params, relabel):
    """Run the stage; gives the out folder."""

    def go(source: str, folder: Path, *corrections: str, out: str = "out") -> Path:
        args = Namespace(
            source=source, ingested=folder, tables=TABLES, relabel=relabel(*corrections), out=tmp_path / out
        )
        main(args, SimpleNamespace(labels=params))
        return args.out

    return go


def snapshot(name: str, label: str) -> dict[str, str]:
    return {"item_id": name, "image_id": name, "group": "sender", "label": label}


def product(number: str, **changes: str) -> dict[str, str]:
    row = dict.fromkeys(("masterCategory", "season", "year", "productDisplayName"), "")
    row |= {"item_id": number, "image_id": number, "id": number, "gender": "Women", "subCategory": "Dress"}
    return row | {"articleType": "Dresses", "baseColour": "Rust", "usage": "Formal"} | changes


def test_labels_have_the_schema_and_are_sorted_by_item(run, ingested):
    folder = ingested("fashion_products", [product("9"), product("10"), product("8", subCategory="Bags")])
    table = read_table(run("fashion_products", folder) / "labels.parquet", LABELS)
    assert table.schema.metadata is None
    assert table.to_pylist() == [
        {
            "item_id": number,
            "image_id": number,
            "photo": number,
            "source": "fashion_products",
            "split": "train",
            "group_id": f"cluster of {number}",
            "cluster": f"cluster of {number}",
            "fingerprint": f"fingerprint of {number}".encode(),
            "instance": None,
            "colorway": None,
            "view": "product",
            "superclass": "dress",
            "agrees": ["dress"],
            "gender": "Women",
            "type": "Dresses",
            "usage": "Formal",
            "color": "Orange",
            "fabric": None,
            "pattern": None,
        }
        for number in ("10", "9")
    ]


def test_every_row_is_accounted_for(run, ingested):
    folder = ingested("photos", [snapshot("a", "Hat"), snapshot("b", "Skip"), snapshot("c", "Shirt")])
    out = run("photos", folder, "photos,c,color,White,seen", "photos,b,color,White,rejected anyway")
    content = json.loads((out / "account.json").read_text(encoding="utf-8"))
    assert content["items"] == {
        "rows_in": 3,
        "rows_kept": 2,
        "rejected": {"not_a_garment": 1},
        "repaired": {"relabeled_color": 1},
    }
    assert content["notes"]["corrections_of_rejected_items"] == {"skipped": 1}
    assert {head: rows for head, rows in content["notes"]["known"].items() if rows} == {"type": 2, "color": 1}
    assert read_table(out / "rejects.parquet", REJECTS).to_pylist() == [
        {"source": "photos", "table": "items", "key": "b", "reason": "not_a_garment", "detail": "label Skip"}
    ]
    labels = read_table(out / "labels.parquet", LABELS).to_pylist()
    assert [(row["group_id"], row["color"]) for row in labels] == [("group of a", None), ("group of c", "White")]


def test_corrections_of_other_sources_are_left_alone(run, ingested):
    out = run("photos", ingested("photos", [snapshot("a", "Hat")]), "fashion_products,77,color,White,")
    assert read_table(out / "labels.parquet").column("color").to_pylist() == [None]


def test_catalogue_type_is_corrected_within_its_own_vocabulary(run, ingested):
    folder = ingested("photos", [snapshot("a", "Hat")])
    out = run("photos", folder, "photos,a,type,Longsleeve,")
    assert read_table(out / "labels.parquet").column("type").to_pylist() == ["Longsleeve"]
    with pytest.raises(StageError, match="type 'Skip' is not known"):
        run("photos", folder, "photos,a,type,Skip,")


def test_deepfashion_folder_passes_through(run, ingested):
    name = "WOMEN-Skirts-id_00000009-03_2_back"
    codes = dict.fromkeys((f"{head}_{layer}" for head in ("fabric", "pattern") for layer in ("upper", "outer")), "7")
    row = {"item_id": name, "image_id": name, "file": f"{name}.jpg", "shape": None, **codes}
    folder = ingested("deepfashion_mm", [row | {"fabric_lower": "2", "pattern_lower": "6"}])
    label = read_table(run("deepfashion_mm", folder) / "labels.parquet", LABELS).to_pylist()[0]
    assert (label["fabric"], label["pattern"], label["type"]) == ("leather", "color block", "Skirts")
    assert (label["usage"], label["color"], label["agrees"]) == (None, None, ["bottom"])


def test_same_items_in_another_order_give_the_same_bytes(run, ingested):
    items = [snapshot("a", "Hat"), snapshot("b", "Skip"), snapshot("c", "Other")]
    first = run("photos", ingested("photos", items), out="first")
    second = run("photos", ingested("photos", items[::-1]), out="second")
    for name in ("labels.parquet", "account.json", "rejects.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_empty_data_set_is_one_message(run, ingested):
    folder = ingested("photos", [])
    with pytest.raises(StageError, match=r"items\.parquet: the data set is empty; expected.*Check") as error:
        run("photos", folder)
    assert str(folder) in str(error.value)


def test_data_set_of_which_nothing_stays_is_one_message(run, ingested):
    with pytest.raises(StageError, match=r"every one of its 1 items was rejected \(\{'not_a_garment': 1\}\)"):
        run("photos", ingested("photos", [snapshot("a", "Skip")]))


def test_source_without_policy_is_one_message(run, ingested):
    with pytest.raises(StageError, match="has no policy for source 'wardrobe'; it has: deepfashion_mm"):
        run("wardrobe", ingested("wardrobe", [snapshot("a", "Hat")]))


def test_policy_of_another_source_is_one_message(run, ingested):
    with pytest.raises(StageError, match="column articleType, baseColour, .* is missing; found: group, image_id"):
        run("fashion_products", ingested("fashion_products", [snapshot("a", "Hat")]))


def test_repeated_item_and_item_without_image_are_named(run, ingested):
    with pytest.raises(StageError, match="item_id a occurs more than once"):
        run("photos", ingested("photos", [snapshot("a", "Hat"), snapshot("a", "Hat")]))
    folder = ingested("photos", [snapshot("a", "Hat")])
    other = ingested("other", [snapshot("b", "Hat")])
    (folder / "items.parquet").write_bytes((other / "items.parquet").read_bytes())
    with pytest.raises(StageError, match="item b has no image in the shards"):
        run("photos", folder)


def test_values_are_counted_before_and_after(run, ingested):
    items = [product("1"), product("2", baseColour="Silver"), product("3", subCategory="Bags", baseColour="Blue")]
    values = json.loads((run("fashion_products", ingested("fashion_products", items)) / "values.json").read_text())
    assert values["color"] == {"before": {"Blue": 1, "Rust": 1, "Silver": 1}, "after": {"Orange": 1}}
    assert values["type"] == {"before": {"Dresses": 3}, "after": {"Dresses": 2}}
    assert values["fabric"] == {"before": {}, "after": {}}


def test_layers_are_counted_before_by_their_names(run, ingested):
    name = "WOMEN-Shorts-id_00000001-02_1_front"
    item = {"item_id": name, "image_id": name, "shape": None}
    item |= {"fabric_upper": "1", "fabric_lower": "0", "fabric_outer": "7"}
    item |= {"pattern_upper": "3", "pattern_lower": "3", "pattern_outer": None}
    values = json.loads((run("deepfashion_mm", ingested("deepfashion_mm", [item])) / "values.json").read_text())
    assert values["fabric"] == {"before": {"cotton": 1, "denim": 1}, "after": {"denim": 1}}
    assert values["pattern"] == {"before": {"pure color": 2}, "after": {"pure color": 1}}
    assert values["type"] == {"before": {"Shorts": 1}, "after": {"Shorts": 1}}


def test_values_of_a_catalogue_are_its_labels(run, ingested):
    items = [snapshot("a", "T-Shirt"), snapshot("b", "Not sure")]
    values = json.loads((run("photos", ingested("photos", items)) / "values.json").read_text())
    assert values["type"] == {"before": {"Not sure": 1, "T-Shirt": 1}, "after": {"T-Shirt": 1}}


SOURCES = {"photos", "fashion_products"}


@pytest.fixture
def labels() -> pd.DataFrame:
    columns = ("gender", "type", "usage", "color", "fabric", "pattern")
    rows = [{"item_id": name, "superclass": "top", "agrees": ["top", "vest"]} for name in ("a", "b")]
    return pd.DataFrame(rows).assign(**dict.fromkeys(columns)).assign(color="Red").astype(object)


@pytest.fixture
def correct(relabel, labels, tables):
    """Apply the lines to the labels; item z was rejected before."""

    def apply(*lines: str):
        return apply_corrections(labels, read_corrections(relabel(*lines), SOURCES), tables.vocabulary(), {"z"})

    return apply


def test_file_with_only_its_header_corrects_nothing(relabel):
    assert read_corrections(relabel(), SOURCES) == []


def test_value_is_corrected_in_its_item_alone_and_counted(correct):
    corrected, counts = correct("photos,a,color,Blue,looks blue", "photos,a,type,Shirts,")
    assert list(corrected["color"]) == ["Blue", "Red"]
    assert corrected["type"][0] == "Shirts"
    assert counts == {"color": 1, "type": 1}


def test_empty_value_makes_it_unknown(correct):
    corrected, _ = correct("photos,b,color,,cannot tell")
    assert corrected["color"][0] == "Red"
    assert corrected["color"][1] is None


def test_corrected_superclass_is_the_only_one_to_agree(correct):
    corrected, _ = correct('photos,b,superclass,dress,"long, with a belt"')
    assert list(corrected["superclass"]) == ["top", "dress"]
    assert list(corrected["agrees"]) == [["top", "vest"], ["dress"]]


def test_correction_of_a_rejected_item_is_counted_and_has_no_effect(correct, labels):
    corrected, counts = correct("photos,z,color,Blue,")
    pd.testing.assert_frame_equal(corrected, labels)
    assert counts == {"rejected": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photos,nobody,color,Blue,", "photos has no item 'nobody'"),
        ("photos,a,colour,Blue,", "column 'colour' cannot be corrected; expected one of: color, fabric"),
        ("photos,a,color,Blu,", "color 'Blu' is not known; expected one of: Black, Blue"),
        ("photos,a,superclass,,", "the superclass cannot be unknown"),
        ("photo,a,color,Blue,", "source 'photo' is not known; expected one of: fashion_products, photos"),
        ("photos,a,color,Blue", "4 fields, expected 5"),
        ("photos,b,color,Black,again", "already corrected in .*relabel.csv, line 2"),
    ],
)
def test_line_that_does_not_fit_is_named_by_file_and_line(correct, line, message):
    with pytest.raises(StageError, match=rf"relabel\.csv, line 3: .*{message}"):
        correct("photos,b,color,White,fine", line)


def test_missing_file_and_wrong_header_are_named(tmp_path):
    path = tmp_path / "relabel.csv"
    with pytest.raises(StageError, match="no such file"):
        read_corrections(path, SOURCES)
    path.write_text("source,item,column,value\n", encoding="utf-8")
    with pytest.raises(StageError, match="line 1: found 'source,item,column,value', expected source,item_id"):
        read_corrections(path, SOURCES)


def test_file_in_another_encoding_is_one_message(tmp_path):
    path = tmp_path / "relabel.csv"
    path.write_bytes("source,item_id,column,value,reason\nphotos,a,type,T-Shirt,caf\xe9\n".encode("cp1252"))
    with pytest.raises(StageError, match="relabel.csv: not text in UTF-8.*Save it as CSV UTF-8"):
        read_corrections(path, ["photos"])
