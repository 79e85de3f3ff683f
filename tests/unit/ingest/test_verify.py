"""Images are checked once; duplicates are found whoever checks them."""

import io
import struct
import zlib

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

from stages.contracts.images import decode
from stages.contracts.tables import hash_split
from stages.core.errors import StageError
from stages.ingest.fingerprint import fingerprint

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
    tree = photos({"a": (1, {}), "b": (2, {})})
    for name in "ab":
        tree.text(f"images/{name}.jpg", "version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(StageError, match="2 corrupt_image"):
        tree.stage("catalogue")


def test_image_above_max_pixels_is_too_large(photos):
    tree = photos({"a": (1, {"size": (64, 48)}), "b": (2, {"size": (65, 48)})})
    out = tree.stage("catalogue", max_pixels=64 * 48)
    assert reasons(out) == {("images", "b"): "too_large", ("items", "b"): "image_rejected"}
    detail = [row["detail"] for row in pq.read_table(out / "rejects.parquet").to_pylist()][0]
    assert detail == "b.jpg: 65x48, more than 3072 pixels"


def test_decompression_bomb_and_empty_file_are_rejects(photos):
    tree = photos({"good": (1, {}), "bomb": (2, {}), "empty": (3, {})})
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 50_000, 50_000, 8, 2, 0, 0, 0)
    tree.text("images/bomb.jpg", header + struct.pack(">II", zlib.crc32(header[12:]), 9) + b"IDAT")
    tree.text("images/empty.jpg", b"")
    assert reasons(tree.stage("catalogue")) == {
        ("images", "bomb"): "too_large", ("images", "empty"): "corrupt_image",
        ("items", "bomb"): "image_rejected", ("items", "empty"): "image_rejected",
    }  # fmt: skip


def test_details_of_rejects_are_the_same_in_every_run(photos):
    """PIL names the stream's address in what it says of a file that is no image."""
    tree = photos({"good": (1, {}), "empty": (3, {})})
    tree.text("images/empty.jpg", b"")
    (detail,) = {row["detail"] for row in pq.read_table(tree.stage("catalogue") / "rejects.parquet").to_pylist()} - {
        "empty"
    }
    assert detail == "empty.jpg: not an image of a kind that is read"


def test_shards_hold_the_fingerprint_of_the_upright_image(photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    tree = photos({"a": (1, {"exif": exif})})
    row = shard_rows(tree.stage("catalogue"))["a"]
    image, _ = decode((tree.root / "images/a.jpg").read_bytes())
    assert row["fingerprint"] == fingerprint(image)
    assert (row["width"], row["height"]) == (48, 64)


def test_repairs_name_image_and_file(photos):
    out = photos({"a": (1, {"kind": "PNG"}), "b": (2, {})}).stage("catalogue")
    assert pq.read_table(out / "repairs.parquet").to_pylist() == [
        {"source": "src", "table": "images", "key": "a", "what": "format", "detail": "a.jpg"}
    ]


def test_near_duplicates_share_a_split_and_their_groups_follow(photos):
    # Senders a and c are one unit through a1 and c1, which show the same picture.
    tree = photos({"a1": (1, {"quality": 95}), "a2": (2, {}), "c1": (1, {"quality": 60}), "c2": (3, {}), "d": (4, {})})
    tree.text("images.csv", HEADER + "".join(f"{name},{name[0]},Hat,False\n" for name in ("a1", "a2", "c1", "c2", "d")))
    rows = shard_rows(tree.stage("catalogue"))
    assert {name: row["split"] for name, row in rows.items()} == dict.fromkeys(
        ("a1", "a2", "c1", "c2"), hash_split("a")
    ) | {"d": hash_split("d")}


def test_fixed_split_rejects_the_near_duplicate_of_a_test_image_with_its_item_and_box(photos):
    tree = photos({"a": (1, {"quality": 95}), "b": (1, {"quality": 60}), "c": (2, {})})
    tree.annotation("splits.csv", "sender_id,split\na,train\nb,test\nc,train\n")
    tree.annotation("boxes.csv", "image,superclass,x1,y1,x2,y2\na,top,1,1,20,20\nb,top,1,1,20,20\n")
    options = tree.catalogue | {"splits": "splits.csv", "boxes": "boxes.csv"}
    out = tree.stage("catalogue", catalogue=options)
    rows = shard_rows(out)
    assert {name: (row["split"], row["cluster"]) for name, row in rows.items()} == {
        "b": ("test", "b"), "c": ("train", "c"),
    }  # fmt: skip
    assert reasons(out) == {
        ("images", "a"): "near_duplicate", ("items", "a"): "image_rejected", ("objects", "a:1"): "image_rejected",
    }  # fmt: skip
    details = [row["detail"] for row in pq.read_table(out / "rejects.parquet").to_pylist()]
    assert details[0] == "near duplicate of b in test"


def test_with_keep_a_near_duplicate_of_a_test_image_stays_in_training(photos):
    tree = photos({"a": (1, {"quality": 95}), "b": (1, {"quality": 60}), "c": (2, {})})
    tree.annotation("splits.csv", "sender_id,split\na,train\nb,test\nc,train\n")
    out = tree.stage("catalogue", catalogue=tree.catalogue | {"splits": "splits.csv"}, duplicates="keep")
    assert {name: (row["split"], row["cluster"]) for name, row in shard_rows(out).items()} == {
        "a": ("train", "a"), "b": ("test", "a"), "c": ("train", "c"),
    }  # fmt: skip
    assert reasons(out) == {}


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
    """Two colorways of a shirt have nearly the same edges; their thumbnails tell them apart."""
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
        "repairs.parquet",
        "shard-0000.parquet",
        "shard-0001.parquet",
    ]
    assert {name: (one / name).read_bytes() == (two / name).read_bytes() for name in names} == dict.fromkeys(
        names, True
    )
