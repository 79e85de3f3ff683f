"""What a plan leaves out, marks and refuses."""

import pyarrow as pa
import pytest

from stages.benchmarks.plan import Pick, Plan, read_source
from stages.contracts.tables import IMAGES, OBJECTS, write_rows, write_shards, write_table
from stages.core.errors import StageError


def test_query_that_is_not_detected_keeps_the_mark_that_it_repeats_a_training_picture():
    """Else the clean view would leave out the found queries alone, and count the missed ones as misses."""
    from dataclasses import replace

    plan = Plan(
        queries=[Pick("q1", "i1", "top", "a"), Pick("q2", "i2", "top", "b"), Pick("q3", "i3", "top", "c")],
        train=[Pick("t1", "i9", "top", "t", split="train"), Pick("t2", "i2", "top", "u", split="train")],
    )
    clusters = {"a": "1", "b": "2", "c": "3", "t": "1", "u": "2"}
    plan.mark_repeats(clusters)
    assert [pick.repeats for pick in plan.queries] == ["t", "u", None]
    plan.queries = [replace(pick, image_id=None, missed="no_detection") for pick in plan.queries]
    plan.separate()  # t2 shows a query's item: nothing learns from it
    plan.mark_repeats(clusters)
    assert [pick.repeats for pick in plan.queries] == ["t", None, None]


def pick(row_id, item, image=None, **more):
    return Pick(row_id, item, "top", image or row_id, **more)


def test_query_without_another_row_of_its_item_has_no_match():
    plan = Plan(
        queries=[pick("q", "a"), pick("both", "b"), pick("lone", "c")], gallery=[pick("g", "a"), pick("both", "b")]
    )
    assert plan.without_match == 2  # lone has none; both only finds itself


def test_missed_queries_are_counted_by_their_reason():
    plan = Plan(queries=[pick("1", "a", missed="no_detection"), pick("2", "a"), pick("3", "a", missed="mismatch")])
    assert plan.missed == {"mismatch": 1, "no_detection": 1}


def test_training_rows_of_held_out_items_and_of_validation_are_left_out():
    train = [
        pick("t1", "held", split="train"), pick("t2", "both", split="train"), pick("t3", "both", split="val"),
        pick("t4", "own", split="train"), pick("t5", None, split="train"),
    ]  # fmt: skip
    plan = Plan(queries=[pick("q", "held"), pick("u", None)], gallery=[pick("g", "held")], train=train)
    plan.separate()
    assert [row.row_id for row in plan.train] == ["t3", "t4", "t5"]  # an item that is not known is nobody's
    assert plan.left_out == {"train: item is held out": 2}


def test_gallery_that_teaches_is_compared_with_the_queries():
    plan = Plan(
        queries=[pick("q", "a")], gallery=[pick("g1", "a"), pick("t", "b")], train=[pick("t", "b", split="train")]
    )
    plan.mark_repeats({"q": "1", "g1": "2", "t": "1"})
    assert [row.repeats for row in plan.queries + plan.gallery] == ["t", None, "q"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(gallery=[pick("g", "a")]), "benchmark.b: no query. Found nothing here."),
        (Plan(queries=[pick("q", "a")]), "benchmark.b: no gallery row"),
        (Plan([pick("q", "a"), pick("q", "b")], [pick("g", "a")]), "row ids must be unique, found twice: q"),
        (Plan([pick("q", "a")], [pick("g", "b")]), "none of 1 queries has a correct row in the gallery of 1"),
    ],
)
def test_plan_that_measures_nothing_is_refused(plan, message):
    plan.inventory = "nothing here"
    with pytest.raises(StageError, match=message):
        plan.check("b")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "ingested/shop"
    image = dict.fromkeys(IMAGES.names) | {"source": "shop", "width": 1, "height": 1, "bytes": b""}
    rows = [image | {"image_id": name, "split": split, "sha256": f"sha {name}", "cluster": "a"}
            for name, split in (("a", "train"), ("b", "test"))]  # fmt: skip
    write_shards(folder, IMAGES, rows, "image_id", 2)
    box = dict.fromkeys(OBJECTS.names) | {"object_id": "a:1", "image_id": "a", "x1": 1, "y1": 2, "x2": 3, "y2": 4}
    write_rows(folder / "objects.parquet", OBJECTS, [box])
    write_table(folder / "items.parquet", pa.table({"item_id": ["a"], "image_id": ["a"], "role": ["query"]}))
    return folder


def test_source_is_read_without_its_pictures(source):
    found = read_source(source, ["role"])
    assert (found.name, found.splits) == ("shop", {"a": "train", "b": "test"})
    assert (found.digests["b"], found.clusters["b"]) == ("sha b", "a")
    assert found.items == [{"item_id": "a", "image_id": "a", "role": "query"}]
    assert found.inventory == "source shop: 1 test, 1 train images"
    assert found.boxes("annotated") == {"a": (1, 2, 3, 4)} and found.boxes("whole") == {}


def test_source_of_another_reader_or_that_was_not_ingested_is_one_message(source):
    with pytest.raises(StageError, match=r"no column pair; it has image_id, item_id, role. Another reader"):
        read_source(source, ["role", "pair"])
    with pytest.raises(StageError, match=r"no such folder. Ingested are: shop. List store in `sources`"):
        read_source(source.parent / "store", [])
    write_rows(source / "objects.parquet", OBJECTS, [])
    with pytest.raises(StageError, match="source shop has no boxes, so `boxes: annotated` is impossible"):
        read_source(source, []).boxes("annotated")
