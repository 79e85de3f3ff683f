"""The whole stage on small trees."""

import json

import pyarrow.parquet as pq
import pytest

from stages.contracts.tables import IMAGES, OBJECTS
from stages.core.errors import StageError


def test_stage_writes_tables_with_their_schemas_and_a_balanced_account(tree):
    for number in range(1, 5):
        tree.image(f"training/boots/image{number}.jpg", seed=number)
    tree.image("validation/boots/image5.jpg", seed=1)  # the same bytes as image1
    tree.text("training/boots/image4.jpg", "no image")
    boxes = {f"image{number}.jpg": [[10, 10, 40, 40], [9, 9, 9, 9]] for number in range(1, 7)}
    tree.text("annotations_boots.json", json.dumps(boxes))
    out = tree.stage("shoes")
    account = json.loads((out / "account.json").read_text())
    # Six names: one without file, one corrupt, one the same bytes again. Two boxes each, one of them empty.
    assert account["images"] == {
        "rows_in": 6, "rows_kept": 3, "repaired": {},
        "rejected": {"corrupt_image": 1, "duplicate_image": 1, "missing_image": 1},
    }  # fmt: skip
    assert account["objects"] == {
        "rows_in": 12, "rows_kept": 3, "repaired": {}, "rejected": {"empty_box": 3, "image_rejected": 6},
    }  # fmt: skip
    assert account["notes"]["near duplicates"] == {"clusters": 3, "images": 3, "largest cluster": 1}
    assert pq.read_schema(out / "objects.parquet").equals(OBJECTS)
    tables = [pq.read_table(out / f"shard-000{number}.parquet") for number in (0, 1)]
    assert all(table.schema.equals(IMAGES) for table in tables)
    assert sum(table.num_rows for table in tables) == 3
    assert len(pq.read_table(out / "rejects.parquet")) == 3 + 9


def test_every_rejected_row_is_in_the_rejects_table(tree):
    tree.text("images.csv", "image,sender_id,label,kids\na,1,Hat,False\nb,1,Hat,False\n")
    tree.image("images/a.jpg", seed=1)
    tree.image("images/lone.jpg", seed=2)
    out = tree.stage("catalogue")
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["source"], row["table"], row["key"], row["reason"]) for row in rows] == [
        ("src", "images", "images/lone.jpg", "no_annotation"),
        ("src", "items", "images.csv:3", "missing_image"),
    ]
    assert pq.read_table(out / "items.parquet").to_pylist() == [
        {"item_id": "a", "image_id": "a", "group": "1", "label": "Hat", "kids": "False"}
    ]


def test_image_without_a_group_is_a_group_of_its_own(tree):
    tree.image("images/a.jpg", seed=1)
    tree.text("annotations/a.xml", "<annotation></annotation>")
    out = tree.stage("voc", shards=1)
    assert pq.read_table(out / "shard-0000.parquet", columns=["group_id"]).to_pylist() == [{"group_id": "a"}]


def test_missing_folder_is_one_message(tree):
    tree.root.rmdir()
    with pytest.raises(
        StageError, match=r"source src: no folder .*raw\. Expected .* Found beside it: .*take src out of `sources`"
    ):
        tree.stage("shoes")


@pytest.mark.parametrize(
    "reader", ["deepfashion2", "voc", "shoes", "fashion_products", "deepfashion_mm", "catalogue", "yolo"]
)
def test_empty_tree_is_one_message_with_what_was_expected(tree, reader):
    with pytest.raises(StageError, match="Expected"):
        tree.stage(reader)


def test_tree_of_empty_folders_is_one_message(tree):
    for name in ("annotations", "images"):
        (tree.root / name).mkdir()
    with pytest.raises(StageError, match=r"no usable image in .*docs/datasets.md shows for reader voc"):
        tree.stage("voc")


def test_second_run_replaces_the_first(tree):
    tree.image("images/a.jpg", seed=1)
    tree.text("annotations/a.xml", "<annotation></annotation>")
    tree.stage("voc", shards=4)
    out = tree.stage("voc", shards=1)
    assert [path.name for path in sorted(out.glob("shard-*"))] == ["shard-0000.parquet"]
