"""Images are checked once; duplicates are found whoever checks them."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import ImageEnhance

from stages.core.accounts import Account
from stages.ingest.boxes import repair
from stages.ingest.verify import Checked, exact_duplicates, near_duplicates

HEADER = "image,sender_id,label,kids\n"


@pytest.fixture
def photos(tree):
    """A catalogue of the images that ``draw`` is given by name: (seed, write options)."""

    def draw(images):
        lines = []
        for name, (seed, options) in images.items():
            tree.image(f"images/{name}.jpg", seed=seed, **options)
            lines.append(f"{name},{name},Hat,False\n")
        tree.text("images.csv", HEADER + "".join(lines))
        return tree

    return draw


def shard_rows(out):
    rows = [row for path in sorted(out.glob("shard-*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["image_id"]: row for row in rows}


def reasons(out):
    return {(row["table"], row["key"]): row["reason"] for row in pq.read_table(out / "rejects.parquet").to_pylist()}


def test_corrupt_and_small_images_are_rejected_with_their_rows(photos):
    tree = photos({"good": (1, {}), "bad": (2, {}), "lfs": (3, {}), "tiny": (4, {"size": (64, 15)})})
    data = (tree.root / "images/bad.jpg").read_bytes()
    tree.text("images/bad.jpg", data[: len(data) // 2])
    tree.text("images/lfs.jpg", "version https://git-lfs.github.com/spec/v1\n")
    out = tree.stage("catalogue")
    assert list(shard_rows(out)) == ["good"]
    assert reasons(out) == {
        ("images", "bad"): "corrupt_image", ("images", "lfs"): "corrupt_image", ("images", "tiny"): "too_small",
        ("items", "bad"): "image_rejected", ("items", "lfs"): "image_rejected", ("items", "tiny"): "image_rejected",
    }  # fmt: skip


def test_data_set_without_one_readable_image_is_one_message(photos):
    """A clone without its LFS objects: every image is a text file. An empty data set is no success."""
    from stages.core.errors import StageError

    tree = photos({"a": (1, {}), "b": (2, {})})
    for name in "ab":
        tree.text(f"images/{name}.jpg", "version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(StageError, match="2 corrupt_image"):
        tree.stage("catalogue")


def test_good_jpeg_keeps_its_bytes(photos):
    tree = photos({"a": (1, {"quality": 70})})
    assert shard_rows(tree.stage("catalogue"))["a"]["bytes"] == (tree.root / "images/a.jpg").read_bytes()


def test_same_bytes_are_dropped_when_configured(photos):
    tree = photos({"a": (1, {}), "b": (1, {}), "c": (2, {})})
    out = tree.stage("catalogue", duplicates="drop")
    assert sorted(shard_rows(out)) == ["a", "c"]
    assert reasons(out) == {("images", "b"): "duplicate_image", ("items", "b"): "image_rejected"}


def test_same_bytes_are_kept_in_one_cluster_when_configured(photos):
    out = photos({"a": (1, {}), "b": (1, {}), "c": (2, {})}).stage("catalogue", duplicates="keep")
    assert {name: row["cluster"] for name, row in shard_rows(out).items()} == {"a": "a", "b": "a", "c": "c"}


def test_reencoded_photo_shares_the_cluster_and_another_picture_does_not(photos):
    images = {
        "a": (1, {"quality": 95}),
        "b": (1, {"quality": 60}),
        "c": (1, {"kind": "PNG"}),
        "d": (2, {}),
        "e": (3, {}),
    }
    clusters = {name: row["cluster"] for name, row in shard_rows(photos(images).stage("catalogue")).items()}
    assert clusters == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e"}


def test_same_cut_in_another_color_is_no_duplicate(photos):
    """Two colourways of a shirt have nearly the same edges; their thumbnails tell them apart."""
    tree = photos({"a": (1, {}), "b": (2, {})})
    base = tree.picture(1)
    for name, image in (("a", base), ("b", ImageEnhance.Brightness(base).enhance(0.6))):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=95)
        tree.text(f"images/{name}.jpg", stream.getvalue())
    loose = shard_rows(tree.stage("catalogue", out="x", near_color=200))
    strict = shard_rows(tree.stage("catalogue", out="y", near_color=8))
    assert [row["cluster"] for row in loose.values()] == ["a", "a"]
    assert {name: row["cluster"] for name, row in strict.items()} == {"a": "a", "b": "b"}


def checked(name, bits, gray=100, sha=""):
    array = np.zeros(32, np.uint8)
    array[:bits] = 1  # one bit set in each of the first bytes
    return Checked(name, 0, 10, 10, sha or name, array, np.full(192, gray, np.int16))


def test_clusters_are_transitive_and_named_by_the_smallest_id():
    # a-b and b-c differ in 4 bits, a-c in 8: one cluster all the same, through b.
    images = [checked("a", 0), checked("b", 4), checked("c", 8), checked("d", 20)]
    assert near_duplicates(images, 4, 0) == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert near_duplicates(images, 3, 0) == {"a": "a", "b": "b", "c": "c", "d": "d"}


def test_both_limits_must_hold():
    images = [checked("a", 0, gray=100), checked("b", 0, gray=109)]
    assert near_duplicates(images, 0, 9) == {"a": "a", "b": "a"}
    assert near_duplicates(images, 0, 8.9) == {"a": "a", "b": "b"}


def test_exact_duplicates_name_the_first():
    images = [checked("a", 0, sha="x"), checked("b", 0, sha="y"), checked("c", 0, sha="x"), checked("d", 0, sha="x")]
    assert exact_duplicates(images) == {"c": "a", "d": "a"}
    assert near_duplicates([], 4, 4) == {}


def test_result_does_not_depend_on_the_number_of_workers(photos, monkeypatch):
    images = {f"p{number}": (number % 5, {"quality": 60 + number}) for number in range(8)}
    tree = photos(images)
    for count in ("1", "2"):
        monkeypatch.setenv("SEAMLINE_WORKERS", count)
        tree.stage("catalogue", out=count)
    one, two = tree.root.parent / "1", tree.root.parent / "2"
    names = sorted(path.name for path in one.iterdir())
    assert names == [
        "account.json",
        "items.parquet",
        "objects.parquet",
        "rejects.parquet",
        "shard-0000.parquet",
        "shard-0001.parquet",
    ]
    assert {name: (one / name).read_bytes() == (two / name).read_bytes() for name in names} == dict.fromkeys(
        names, True
    )


def boxed(*corners):
    return {"object_id": "o", "image_id": "i", **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))}


@pytest.mark.parametrize(
    ("corners", "expected", "repairs"),
    [
        ((1, 2, 30, 40), [1, 2, 30, 40], {}),
        ((30, 40, 1, 2), [1, 2, 30, 40], {"reversed": 1}),
        ((30, 2, 1, 40), [1, 2, 30, 40], {"reversed": 1}),
        ((-5, -5, 30, 90), [0, 0, 30, 48], {"clipped": 1}),
        ((90, 10, 10, -3), [10, 0, 64, 10], {"reversed": 1, "clipped": 1}),
    ],
)
def test_boxes_are_repaired_and_counted(corners, expected, repairs):
    ledger = Account("x").ledger("objects")
    (row,) = repair([boxed(*corners)], {"i": (64, 48)}, ledger)
    assert [row[key] for key in ("x1", "y1", "x2", "y2")] == expected
    assert dict(ledger.repaired) == repairs


@pytest.mark.parametrize("corners", [(5, 5, 5, 20), (70, 5, 90, 20), (5, -20, 9, -1), (5, 5, 5.5, 20)])
def test_box_of_which_nothing_is_left_is_rejected(corners):
    ledger = Account("x").ledger("objects")
    assert repair([boxed(*corners)], {"i": (64, 48)}, ledger) == []
    assert [row.reason for row in ledger.rejects] == ["empty_box"]
