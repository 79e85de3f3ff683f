"""Every reader meets the same files: other capitals and suffixes, composed names, links, companions, rejected boxes."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from trees import ZERO_BASED, voc_xml, write_catalogue

ITEM = "WOMEN-Dresses-id_00000001-0{}_1_front"
STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"


def listed(header, rows):
    return f"{len(rows)}\n{header}\n" + "".join(f"{row}\n" for row in rows)


def catalogue(tree, names):
    tree.text(
        "images.csv", "image,sender_id,label,kids\n" + "".join(f"{name}.jpg,{name},Top,False\n" for name in names)
    )
    return "images"


def voc(tree, names):
    for name in names:
        tree.text(f"annotations/{name}.xml", "<annotation/>")
    return "images"


def yolo(tree, names):
    tree.text("data.yaml", "train: images/train\nval: images/val\ntest: images/test\nnames: [top]\n")
    for split in ("val", "test"):
        tree.image(f"images/{split}/{split}.jpg", seed=len(split) + 50)
    for name in names:
        tree.text(f"labels/train/{name}.txt", "0 .5 .5 .5 .5\n")
    return "images/train"


def shoes(tree, names):
    tree.image("validation/boots/other.jpg", seed=50)
    content = {f"{name}.jpg": [[1, 1, 20, 20]] for name in [*names, "other"]}
    tree.text("annotations_boots.json", json.dumps(content))
    return "training/boots"


def deepfashion2(tree, names):
    tree.image("validation/image/other.jpg", seed=50)
    tree.text("validation/annos/other.json", "{}")
    for name in names:
        tree.text(f"train/annos/{name}.json", "{}")
    return "train/image"


def inshop(tree, names):
    rows = [f"img/{name}.jpg id_{number} train" for number, name in enumerate(names)]
    tree.text("Eval/list_eval_partition.txt", listed("image_name item_id evaluation_status", rows))
    return "Img/img"


def consumer_to_shop(tree, names):
    tree.image("Img/img/shop.jpg", seed=50)
    tree.image("Img/img/shop2.jpg", seed=51)
    tree.image("Img/img/shop3.jpg", seed=52)
    shops = ("shop", "shop2", "shop3")
    rows = [f"img/{name}.jpg img/{shop}.jpg id_{shop} train" for name, shop in zip(names, shops, strict=False)]
    header = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
    tree.text("Eval/list_eval_partition.txt", listed(header, rows))
    return "Img/img"


def category_coarse(tree, names):
    rows = [f"img/{name}.jpg" for name in names]
    header = "image_name evaluation_status"
    tree.text("Eval/list_eval_partition.txt", listed(header, [f"{row} train" for row in rows]))
    tree.text("Anno/list_category_img.txt", listed("image_name category_label", [f"{row} 1" for row in rows]))
    return "Img/img"


def category_fine(tree, names):
    for split in ("train", "val", "test"):
        there = names if split == "train" else []
        tree.text(f"Anno_fine/{split}.txt", "".join(f"img/{name}.jpg\n" for name in there))
        tree.text(f"Anno_fine/{split}_cate.txt", "1\n" * len(there))
    return "img"


def fashion144k(tree, names):
    tree.text("photos.txt", "".join(f"photos/{name}.jpg\n" for name in names))
    (tree.root / "feat").mkdir()
    np.save(tree.root / "feat/singles_at_59.npy", np.ones((len(names), 3), np.uint8))
    np.save(tree.root / "trainids.npy", np.arange(len(names)))
    return "photos"


def fashion_products(tree, names):
    rows = [f"{name},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\n" for name in names]
    tree.text("styles.csv", STYLES + "".join(rows))
    return "images"


def deepfashion_mm(tree, names):
    for name, count in (("fabric_ann", 3), ("pattern_ann", 3), ("shape_anno_all", 12)):
        tree.text(f"labels/{name}.txt", "".join(f"{one}.jpg{' 0' * count}\n" for one in names))
    return "images"


READERS = [catalogue, voc, yolo, shoes, deepfashion2, inshop, consumer_to_shop, category_coarse, category_fine,
           fashion144k, fashion_products, deepfashion_mm]  # fmt: skip
OPTIONS = {"voc": {"voc": {"annotations": "annotations", "images": "images", "first_pixel": 0}}}
every_reader = pytest.mark.parametrize("draw", READERS, ids=lambda one: one.__name__)


def ids(out):
    return {row for path in out.glob("shard-*") for row in pq.read_table(path)["image_id"].to_pylist()}


def stage(tree, draw):
    return tree.stage(draw.__name__, duplicates="keep", **OPTIONS.get(draw.__name__, {}))


@every_reader
def test_images_of_other_capitals_suffixes_and_folders_are_found(tree, draw, tmp_path):
    folder = draw(tree, ["101", "102", "103"])
    tree.image(f"{folder}/101.JPEG", seed=1)
    tree.image(f"{folder}/102.jfif", seed=2)
    tree.image("../disk/103.png", seed=3, kind="PNG")
    (tree.root / folder / "linked").symlink_to(tmp_path / "disk")
    (tree.root / folder / "loop").symlink_to(tree.root)
    found = ids(stage(tree, draw))
    assert {name for name in ("101", "102", "103") if any(one.endswith(name) for one in found)} == {"101", "102", "103"}


@every_reader
def test_files_that_an_archive_of_windows_named_with_backslashes_are_found(tree, draw):
    folder = draw(tree, ["101", "102"])
    tree.image(f"{folder}/sub\\101.jpg", seed=1)
    tree.image(f"{folder}/sub/102.jpg", seed=2)
    found = ids(stage(tree, draw))
    assert len([one for one in found if one.endswith(("sub/101", "sub/102"))]) == 2


@pytest.mark.parametrize("draw", [one for one in READERS if one is not fashion_products], ids=lambda one: one.__name__)
def test_names_compare_however_they_are_composed_and_ids_are_composed(tree, draw):
    """An id of styles.csv is a number: it has no accents."""
    names = [unicodedata.normalize(form, name) for form, name in (("NFC", "Bl\u00fase"), ("NFD", "caf\u00e9"))]
    folder = draw(tree, names)
    for seed, (form, name) in enumerate((("NFD", "Bl\u00fase"), ("NFC", "caf\u00e9"))):
        tree.image(f"{folder}/{unicodedata.normalize(form, name)}.jpg", seed=seed)
    found = ids(stage(tree, draw))
    assert {name for name in ("Bl\u00fase", "caf\u00e9") if any(one.endswith(name) for one in found)} == {
        "Bl\u00fase", "caf\u00e9",
    }  # fmt: skip


@every_reader
def test_every_file_is_in_a_ledger_or_named_as_ignored(tree, draw):
    folder = draw(tree, ["101", "102", "103"])
    for seed in (1, 2):
        tree.image(f"{folder}/10{seed}.jpg", seed=seed)
    tree.text(f"{folder}/103.JXL", b"\0")
    for name in ("Thumbs.db", "._101.jpg", ".DS_Store", "@eaDir/x.jpg", "read me.docx"):
        tree.text(f"{folder}/{name}", b"\0")
    tree.text("elsewhere/y.png", b"\0")
    (tree.root / folder / "gone.jpg").symlink_to("nowhere.jpg")
    (tree.root / folder / "t.jpg").write_bytes((tree.root / folder / "101.jpg").read_bytes()[:400])
    (tree.root / folder / "t.jpg").rename(tree.root / folder / os.fsdecode(b"caf\xe9.jpg"))
    out = stage(tree, draw)
    account = json.loads((out / "account.json").read_text(encoding="utf-8"))
    notes = account["notes"]["files that are not read"]
    assert notes == {
        "._*": 1, ".DS_Store": 1, "@eaDir/": 1, "Thumbs.db": 1, ".docx": 1, ".png outside of what is read": 1,
    }  # fmt: skip
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    reasons = {Path(row["key"]).name: row["reason"] for row in rejects if row["table"] == "images"}
    assert reasons["103.JXL"] == "unread_format"
    assert reasons["gone.jpg"] == "broken_link"
    assert any("caf\\xe9" in name for name in reasons)  # without an annotation, or not a whole image
    assert len([one for one in ids(out) if one.endswith(("101", "102"))]) == 2


@pytest.mark.parametrize("folder", ["Img/img/img", "img/img", "Img/img_highres/img_highres"])
def test_images_that_were_unpacked_into_a_folder_of_their_name_keep_their_category(tree, folder):
    name = "WOMEN/Dresses/id_00000001/01_1_front"
    tree.text(
        "Eval/list_eval_partition.txt",
        listed("image_name item_id evaluation_status", [f"img/{name}.jpg id_00000001 train"]),
    )
    tree.image(f"{folder}/{name}.jpg", seed=1)
    (row,) = pq.read_table(tree.stage("inshop") / "items.parquet").to_pylist()
    assert (row["image_id"], row["gender"], row["category"]) == (name, "WOMEN", "Dresses")


def test_lists_that_windows_wrote_in_utf_16_with_its_own_paths_are_read(tree):
    rows = [f"img\\WOMEN\\Dresses\\{number}.JPG id_{number} train" for number in (1, 2)]
    text = listed("image_name item_id evaluation_status", rows).replace("\n", "\r\n")
    tree.text("Eval/list_eval_partition.txt", text.encode("utf-16"))
    for number in (1, 2):
        tree.image(f"Img/img/WOMEN/Dresses/{number}.jpg", seed=number)
    assert ids(tree.stage("inshop")) == {"WOMEN/Dresses/1", "WOMEN/Dresses/2"}


def as_spreadsheets_save(text):
    return text.replace(" ", "\t")


def as_windows_saves(text):
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def as_dos_ends(text):
    return text.encode() + b"\r\n\x1a"


def with_old_macs_line_ends(text):
    return text.replace("\n", "\r")


def without_a_last_line_end(text):
    return text.rstrip("\n")


@pytest.mark.parametrize(
    "save",
    [as_spreadsheets_save, as_windows_saves, as_dos_ends, with_old_macs_line_ends, without_a_last_line_end],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize(
    "draw",
    [inshop, consumer_to_shop, category_coarse, category_fine, fashion144k, deepfashion_mm],
    ids=lambda one: one.__name__,
)
def test_lists_that_an_editor_saved_again_are_read(tree, draw, save):
    folder = draw(tree, ["a", "b", "c"] if draw is not deepfashion_mm else [ITEM.format(n) for n in (1, 2, 3)])
    for n, name in enumerate(["a", "b", "c"] if draw is not deepfashion_mm else [ITEM.format(n) for n in (1, 2, 3)]):
        tree.image(f"{folder}/{name}.jpg", seed=n)
    before = ids(stage(tree, draw))
    for path in tree.root.rglob("*.txt"):
        tree.text(path.relative_to(tree.root).as_posix(), save(path.read_text()))
    assert ids(tree.stage(draw.__name__, out="again", duplicates="keep")) == before
    assert len(before) >= 3


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("draw", [deepfashion2, shoes], ids=lambda one: one.__name__)
def test_jsons_that_an_editor_saved_with_a_mark_are_read(tree, draw, mark):
    folder = draw(tree, ["a", "b"])
    for n, name in enumerate(["a", "b"]):
        tree.image(f"{folder}/{name}.jpg", seed=n)
        if draw is deepfashion2:
            tree.text(f"train/annos/{name}.json", '{"item1": {"category_id": 1, "bounding_box": [1, 1, 20, 20]}}')
    for path in tree.root.rglob("*.json"):
        tree.text(path.relative_to(tree.root).as_posix(), path.read_text().encode(mark))
    out = stage(tree, draw)
    account = json.loads((out / "account.json").read_text())
    assert account["images"]["rejected"] == {} and account["objects"]["rows_kept"] == (2 if draw is deepfashion2 else 3)


@pytest.mark.parametrize("reader", ["voc", "catalogue", "deepfashion2", "shoes"])
def test_image_whose_boxes_were_all_rejected_is_noted_by_every_reader(tree, reader):
    options = ZERO_BASED if reader == "voc" else {}
    for number, name in enumerate(("good", "bad")):
        box = "1,1,30,30" if name == "good" else "1,1,1,30"
        numbers = [int(one) for one in box.split(",")]
        if reader == "deepfashion2":
            for split in ("train", "validation"):
                tree.image(f"{split}/image/{name}.jpg", seed=number + 10 * len(split))
                item = {"bounding_box": numbers if name == "good" else "none", "category_id": 1, "style": 0}
                tree.text(f"{split}/annos/{name}.json", json.dumps({"item1": item}))
        elif reader == "shoes":
            tree.image(f"training/boots/{name}.jpg", seed=number)
            tree.image(f"validation/boots/{name}2.jpg", seed=number + 10)
            entry = numbers if name == "good" else [1, 2, "x"]
            content = {
                "good.jpg": [[1, 1, 30, 30]],
                "good2.jpg": [[1, 1, 30, 30]],
                "bad.jpg": [entry],
                "bad2.jpg": [entry],
            }
            tree.text("annotations_boots.json", json.dumps(content))
        else:
            tree.image(f"images/{name}.jpg", seed=number)
            tree.text(f"annotations/{name}.xml", voc_xml(numbers))
    if reader == "catalogue":
        write_catalogue(tree, ["good", "bad"])
        tree.annotation("b.csv", "image,superclass,x1,y1,x2,y2\ngood.jpg,top,1,1,30,30\nbad.jpg,top,1,1,?,30\n")
        options = {"catalogue": tree.catalogue | {"boxes": "b.csv"}}
    out = tree.stage(reader, **options)
    lost = pq.read_table(out / "unboxed.parquet")["image_id"].to_pylist()
    assert lost == {
        "voc": ["bad"], "catalogue": ["bad"], "deepfashion2": ["train-bad", "validation-bad"],
        "shoes": ["boots-training-bad", "boots-validation-bad2"],
    }[reader]  # fmt: skip
