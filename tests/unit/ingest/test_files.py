"""Which files of a tree are read: kinds of images, links, companions."""

import pyarrow.parquet as pq
from trees import HEIC, account, shard_ids, write_catalogue

KINDS = {"a.jpg": "JPEG", "b.jfif": "JPEG", "c.jpe": "JPEG", "d.tif": "TIFF", "e.gif": "GIF", "f.avif": "AVIF",
         "h.TIFF": "TIFF", "i.JFIF": "JPEG", "j.jp2": "JPEG2000", "k.ppm": "PPM"}  # fmt: skip


def test_every_kind_of_image_is_read_and_those_that_are_not_are_on_record(tree, rejects):
    for seed, (name, kind) in enumerate(KINDS.items()):
        tree.image(f"images/{name}", seed=seed, kind=kind)
    tree.text("images/g.JXL", HEIC)
    tree.text("images/raw.CR2", HEIC)
    write_catalogue(tree, [*"abcdefhijk", "g"])
    out = tree.stage("catalogue")
    assert shard_ids(out) == list("abcdefhijk")
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["table"], row["key"], row["reason"]) for row in rows] == [
        ("images", "images/g.JXL", "unread_format"),
        ("images", "images/raw.CR2", "unread_format"),
        ("items", "images.csv:12", "unread_format"),
    ]
    assert rows[2]["detail"] == "g.JXL: a kind of picture that is not read; save it as JPEG or PNG"


def test_linked_folders_are_read_and_a_link_that_leads_nowhere_is_counted(tree, tmp_path):
    for seed in range(6):
        tree.image(f"../disk/part{seed % 2}/k{seed}.jpg", seed=seed)
    for seed in range(2):
        tree.image(f"images/direct{seed}.jpg", seed=10 + seed)
    for part in ("part0", "part1"):
        (tree.root / "images" / part).symlink_to(tmp_path / "disk" / part)
    (tree.root / "images" / "linked.jpg").symlink_to(tmp_path / "disk" / "part0" / "k0.jpg")
    (tree.root / "images" / "gone.jpg").symlink_to(tmp_path / "gone.jpg")
    (tree.root / "images" / "self").symlink_to("self")
    (tmp_path / "disk" / "part1" / "up").symlink_to(tree.root)
    (tmp_path / "disk" / "part1" / "all").symlink_to(tmp_path / "disk")
    write_catalogue(tree, [*(f"k{seed}" for seed in range(6)), "direct0", "direct1", "linked", "gone"])
    out = tree.stage("catalogue", duplicates="keep")
    assert len(shard_ids(out)) == 9
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [(row["table"], row["key"], row["detail"]) for row in rows] == [
        ("images", "images/gone.jpg", "the link leads nowhere"),
        ("items", "images.csv:11", "gone.jpg: the link leads nowhere"),
    ]
    assert account(out)["notes"]["files that are not read"] == {
        "links that lead nowhere": 1, "links to folders that are read already": 2,
    }  # fmt: skip


def test_what_phones_and_windows_leave_beside_photos_is_a_companion(tree):
    for name in ("IMG_1.AAE", "IMG_1.xmp", "IMG_1.jpg:Zone.Identifier", "desktop.ini", "IMG_2.MOV"):
        tree.text(f"images/{name}", b"\0")
    tree.image("images/IMG_1.jpg", seed=1)
    write_catalogue(tree, ["IMG_1"])
    assert account(tree.stage("catalogue"))["notes"]["files that are not read"] == {
        "*.aae": 1, "*.xmp": 1, "*:zone.identifier": 1, "desktop.ini": 1, ".mov": 1,
    }  # fmt: skip
