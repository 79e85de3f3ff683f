"""Benchmarks built from small data sets written the way the dataset stage writes them."""

import json
from argparse import Namespace
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.benchmarks import benchmark
from stages.benchmarks.params import BenchmarkParams
from stages.contracts.tables import BENCHMARK, CROPS, LABELS, write_rows, write_shards
from stages.core.errors import StageError
from stages.core.params import section

WARDROBE = {
    "kind": "wardrobe",
    "source": "df",
    "query_views": ["front", "side"],
    "gallery_views": ["flat"],
    "same_colorway": False,
}
CATEGORY = {"kind": "category", "source": None, "item_column": "type"}


def item(item_id, view="front", instance=None, outcome="matched", source="df", split="test", **more):
    row = dict.fromkeys(LABELS.names)
    row |= {"item_id": item_id, "source": source, "split": split, "view": view, "instance": instance}
    return row | {"superclass": "top", "colorway": "c1", "outcome": outcome} | more


def dataset(folder, items):
    """Items with outcome matched or whole_image get a crop ``c-<item_id>`` whose bytes are its id."""
    schema = LABELS.append(pa.field("outcome", pa.string()))
    write_rows(folder / "items.parquet", schema, items)
    crops = [
        {
            **{name: row[name] for name in LABELS.names},
            "crop_id": f"c-{row['item_id']}",
            "detected_class": "top" if row["outcome"] == "matched" else None,
            "bytes": row["item_id"].encode(),
        }
        for row in items
        if row["outcome"] in ("matched", "whole_image")
    ]
    write_shards(folder, CROPS, crops, "crop_id", 3)
    return folder


def build(tmp_path, items, params, name="b"):
    folder = dataset(tmp_path / "d", items)
    args = Namespace(benchmark=name, images=folder, model=folder, out=tmp_path / "o")
    report = benchmark.main(args, SimpleNamespace(benchmark=section(BenchmarkParams, "b", {"b": params}), nms=None))
    tables = {part: pq.read_table(tmp_path / "o" / f"{part}.parquet") for part in ("queries", "gallery")}
    assert all(table.schema.equals(BENCHMARK) for table in tables.values())
    content = json.loads((tmp_path / "o" / "benchmark.json").read_text())
    return {part: table.to_pylist() for part, table in tables.items()}, content, report


PHOTOS = [
    item("s2", "side", "i1"),
    item("f1", "front", "i1"),
    item("p1", "flat", "i1"),
    item("f2", "front", "i2", "whole_image", superclass="dress"),
    item("p2", "flat", "i2", superclass="dress"),
    item("b1", "back", "i1"),  # not among the query views
    item("t1", "front", "i1", split="train"),
    item("t2", "flat", "i1", split="train"),
    item("o1", "flat", "i1", source="other"),
]


def ids(rows):
    return [row["row_id"] for row in rows]


def test_wardrobe_takes_test_crops_of_its_source_by_view_sorted_by_id(tmp_path):
    tables, content, _ = build(tmp_path, PHOTOS, WARDROBE)
    assert ids(tables["queries"]) == ["c-f1", "c-f2", "c-s2"]
    assert ids(tables["gallery"]) == ["c-p1", "c-p2"]
    assert tables["queries"][1] == {
        "row_id": "c-f2",
        "item": "i2",
        "category": "dress",
        "detected_class": None,
        "bytes": b"f2",
        "repeats": None,
    }
    assert [row["bytes"] for row in tables["gallery"]] == [b"p1", b"p2"]
    assert content["categories"] == {"queries": {"dress": 1, "top": 2}, "gallery": {"dress": 1, "top": 1}}


def test_item_without_crop_is_a_missed_query_only_when_the_gallery_has_its_match(tmp_path):
    items = [
        *PHOTOS,
        item("m1", "side", "i2", "no_detection"),
        item("m2", "side", "i1", "mismatch"),
        item("m3", "side", "i9", "no_detection"),  # nothing to find
        item("m4", "back", "i1", "no_detection"),  # not a query view
        item("m5", "side", "i1", "no_detection", split="train"),
    ]
    tables, content, report = build(tmp_path, items, WARDROBE)
    assert ids(tables["queries"]) == ["c-f1", "c-f2", "c-s2", "m1", "m2"]
    assert [row["bytes"] for row in tables["queries"][3:]] == [None, None]
    assert tables["queries"][3]["item"] == "i2"
    assert content["queries_missed_by_outcome"] == {"mismatch": 1, "no_detection": 1}
    assert report.metrics["queries_missed"] == 2


def test_same_colorway_makes_another_color_of_the_item_wrong(tmp_path):
    items = [*PHOTOS, item("f3", "front", "i1", colorway="c2"), item("f4", "front", "i1", colorway=None)]
    assert build(tmp_path / "any", items, WARDROBE)[1]["queries_without_match"] == 0
    tables, content, _ = build(tmp_path / "same", items, WARDROBE | {"same_colorway": True})
    assert content["queries_without_match"] == 1
    assert content["left_out"] == {"queries: item not known": 1}
    assert {row["row_id"]: row["item"] for row in tables["queries"]}["c-f3"] == "i1/c2"


def test_rows_without_known_instance_are_left_out_and_counted(tmp_path):
    tables, content, _ = build(tmp_path, [*PHOTOS, item("f5", "front"), item("p5", "flat")], WARDROBE)
    assert content["left_out"] == {"gallery: item not known": 1, "queries: item not known": 1}
    assert len(tables["queries"]) == 3 and len(tables["gallery"]) == 2


def test_query_without_match_stays_and_is_counted(tmp_path):
    tables, content, _ = build(tmp_path, [*PHOTOS, item("f6", "front", "i6")], WARDROBE)
    assert "c-f6" in ids(tables["queries"])
    assert (content["queries"], content["queries_without_match"]) == (4, 1)


def test_category_searches_training_crops_by_label(tmp_path):
    items = [
        item("a", source="x", type="shirt"),
        item("b", source="x", split="train", type="shirt"),
        item("c", source="y", split="train", type="hat", superclass="headwear"),
        item("d", source="y", split="val", type="hat"),
        item("e", source="y", split="train"),
        item("f", source="y", type="hat", outcome="no_detection"),
    ]
    tables, content, _ = build(tmp_path / "all", items, CATEGORY)
    # The hat of the test split that was never detected is a query too: a miss.
    assert [(row["row_id"], row["item"]) for row in tables["queries"]] == [("c-a", "shirt"), ("f", "hat")]
    assert [row["bytes"] is None for row in tables["queries"]] == [False, True]
    assert [(row["row_id"], row["item"]) for row in tables["gallery"]] == [("c-b", "shirt"), ("c-c", "hat")]
    assert tables["gallery"][1]["category"] == "headwear"
    assert content["left_out"] == {"gallery: item not known": 1}
    tables, _, _ = build(tmp_path / "x", items, CATEGORY | {"source": "x"})
    assert ids(tables["gallery"]) == ["c-b"]


def test_wrong_view_names_are_answered_with_the_views_there_are(tmp_path):
    with pytest.raises(StageError, match=r"benchmark.b: no query\. .*back 1, flat 2, front 2, side 1"):
        build(tmp_path, PHOTOS, WARDROBE | {"query_views": ["worn"]})


def test_unknown_source_is_answered_with_the_sources_there_are(tmp_path):
    with pytest.raises(StageError, match=r"no query\. .*sources of all 9 crops: df 8, other 1"):
        build(tmp_path, PHOTOS, WARDROBE | {"source": "deepfashion"})


def test_empty_gallery_and_benchmark_without_any_match_are_refused(tmp_path):
    with pytest.raises(StageError, match="no gallery row"):
        build(tmp_path / "a", PHOTOS, WARDROBE | {"gallery_views": ["full"]})
    with pytest.raises(StageError, match="none of 1 queries has a correct row in the gallery of 1"):
        build(tmp_path / "b", [item("f", "front", "i1"), item("p", "flat", "i2")], WARDROBE)
