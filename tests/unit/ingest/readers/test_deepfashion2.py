"""DeepFashion2's tree, its Kaggle mirror, its defects, and who took a photo."""

import json

import pytest

from stages.core.errors import StageError
from stages.ingest.readers import deepfashion2

MIRROR = "DeepFashion2/deepfashion2_original_images/"


def item(category, box, style=0):
    return {
        "category_id": category, "category_name": "spelled another way", "style": style, "bounding_box": box,
        "landmarks": [0, 0, 0], "segmentation": [[1, 2]], "scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2,
    }  # fmt: skip


# train/000001.json as released (docs/datasets.md): 468 x 624, a short sleeve top and trousers.
GOLDEN = {
    "source": "user", "item2": item(8, [249, 423, 466, 623]), "pair_id": 1, "item1": item(1, [0, 29, 466, 622], style=1),
}  # fmt: skip


@pytest.fixture
def small(tree):
    """One annotated image in each split, both called 000001."""

    def draw(base="", train=GOLDEN, validation=None):
        for split, content in (
            ("train", train),
            ("validation", validation or {"pair_id": 2, "item1": item(9, [5, 5, 40, 40])}),
        ):
            tree.image(
                f"{base}{split}/image/000001.jpg", seed=len(split), size=(468, 624) if split == "train" else (64, 48)
            )
            tree.text(f"{base}{split}/annos/000001.json", json.dumps(content))
        return tree

    return draw


def test_golden_sample_has_two_boxes_of_the_released_classes(small):
    reading, _, _ = small().read("deepfashion2")
    boxes = {row["object_id"]: row for row in reading.objects if row["image_id"] == "train-000001"}
    top, trousers = boxes["train-000001:item1"], boxes["train-000001:item2"]
    assert [top[key] for key in ("class_name", "x1", "y1", "x2", "y2", "style")] == [
        "short sleeve top",
        0,
        29,
        466,
        622,
        1,
    ]
    assert [trousers[key] for key in ("class_name", "x1", "y1", "x2", "y2")] == ["trousers", 249, 423, 466, 623]
    assert top["pair_id"] == "1"


def test_names_that_repeat_across_splits_are_two_images(small):
    reading, ledgers, _ = small().read("deepfashion2")
    assert [image.image_id for image in reading.images] == ["train-000001", "validation-000001"]
    assert ledgers["images"]["rows_in"] == 2
    assert reading.images[1].split == "test"  # upstream's validation is our test split


def test_photos_of_a_pair_are_one_group_and_share_their_split(tree):
    for number in range(1, 41):
        tree.image(f"train/image/{number:06}.jpg", seed=number)
        tree.text(
            f"train/annos/{number:06}.json", json.dumps({"pair_id": number // 2, "item1": item(1, [1, 1, 30, 30])})
        )
    (tree.root / "validation/image").mkdir(parents=True)
    (tree.root / "validation/annos").mkdir()
    reading, _, _ = tree.read("deepfashion2", val_share=0.5)
    splits = {}
    for image in reading.images:
        splits.setdefault(image.group, set()).add(image.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "val"}


def test_kaggle_mirror_is_read_like_the_official_tree(small, tmp_path):
    reading, ledgers, _ = small(MIRROR).read("deepfashion2")
    assert len(reading.objects) == 3
    assert ledgers["objects"]["rows_in"] == 3


@pytest.mark.parametrize("category", [14, 0, "1", None, [1]])
def test_unknown_category_is_one_message_that_names_the_file(small, category):
    tree = small(train={"item1": item(category, [1, 1, 30, 30])})
    with pytest.raises(StageError, match=r"000001.json.*category_id.*deepfashion2_classes.csv"):
        tree.read("deepfashion2")


def test_annotation_without_its_image_is_rejected_with_its_boxes(small, rejects):
    tree = small()
    tree.remove("train/image/000001.jpg")
    reading, ledgers, account = tree.read("deepfashion2")
    assert rejects(account) == [
        ("images", "train/annos/000001.json", "missing_image"),
        ("objects", "train/annos/000001.json:item1", "image_rejected"),
        ("objects", "train/annos/000001.json:item2", "image_rejected"),
    ]
    assert (ledgers["images"]["rows_in"], ledgers["objects"]["rows_in"]) == (2, 3)
    assert len(reading.objects) == 1


@pytest.mark.parametrize("text", ["{oops", "[1, 2]", "", "\xff"])
def test_malformed_json_is_rejected(small, rejects, text):
    tree = small()
    tree.text("train/annos/000001.json", text.encode("latin-1"))
    _, ledgers, account = tree.read("deepfashion2")
    assert rejects(account) == [("images", "train/annos/000001.json", "malformed_row")]
    assert ledgers["images"]["rows_in"] == 2


@pytest.mark.parametrize("box", [None, [1, 2, 3], "1 2 3 4", [1, 2, "x", 4], [1, 2, float("nan"), 4]])
def test_box_without_four_numbers_is_rejected(small, rejects, box):
    _, _, account = small(train={"item1": item(1, box)}).read("deepfashion2")
    assert rejects(account) == [("objects", "train/annos/000001.json:item1", "malformed_box")]


def test_image_without_annotation_is_counted(small, rejects):
    tree = small()
    tree.image("validation/image/000002.jpg", seed=9)
    _, ledgers, account = tree.read("deepfashion2")
    assert rejects(account) == [("images", "validation/image/000002.jpg", "no_annotation")]
    assert ledgers["images"]["rows_in"] == 3


def test_missing_split_folder_names_found_and_expected(small):
    tree = small()
    for path in sorted((tree.root / "validation").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(StageError, match=r"no folder .*validation/annos. Expected train/.*take src out of `sources`"):
        tree.read("deepfashion2")


@pytest.mark.parametrize("base", ["", MIRROR, "deepfashion2_original_images/", "DeepFashion2/"])
def test_tree_is_found_at_whatever_level_it_was_unpacked(small, base):
    reading, _, account = small(base).read("deepfashion2")
    assert len(reading.objects) == 3
    assert account.notes["read from"] == {
        "train": f"{base}train/annos", "tree": base.rstrip("/") or "official", "validation": f"{base}validation/annos",
    }  # fmt: skip


CSV = "path,category_id,category_name,b_box,style,pair_id,source,landmarks,segmentation,scale,zoom_in,viewpoint,occlusion,img_width,img_height\n"
PLACE = "/kaggle/input/deepfashion2-original-with-dataframes/DeepFashion2/deepfashion2_original_images"


def row(split, stem, category, box, style="0", pair="1"):
    outline = str([[1.5, 2.5] * 40_000])  # longer than the csv module takes by itself
    return f'{PLACE}/{split}/image/{stem}.jpg,{category},x,"{box}",{style},{pair},user,"[0, 0, 0]","{outline}",2,1,2,1,468,624\n'


def mirror(tree, level, *rows):
    """The mirror without annos/: only its CSV for train, the JSON for validation."""
    tree.text(f"{level}img_info_dataframes/train.csv", CSV + "".join(rows))
    for path in (tree.root / f"{level}deepfashion2_original_images/train/annos").glob("*"):
        path.unlink()
    return tree


@pytest.mark.parametrize("level", ["DeepFashion2/", ""])
def test_csv_of_the_mirror_is_read_where_there_is_no_json(small, level):
    rows = row("train", "000001", 1, [0, 29, 466, 622], style="1"), row("train", "000001", 8, [249, 423, 466, 623])
    from_json, _, _ = small(f"{level}deepfashion2_original_images/").read("deepfashion2")
    tree = mirror(small(f"{level}deepfashion2_original_images/"), level, *rows)
    reading, ledgers, account = tree.read("deepfashion2")
    assert reading.objects == from_json.objects
    assert reading.images == from_json.images
    assert account.notes["read from"]["train"] == f"{level}img_info_dataframes/train.csv"
    assert account.notes["read from"]["validation"] == f"{level}deepfashion2_original_images/validation/annos"
    assert (ledgers["images"]["rows_in"], ledgers["objects"]["rows_in"]) == (2, 3)


def test_json_is_read_where_both_are_there(small):
    tree = small(MIRROR)
    tree.text("DeepFashion2/img_info_dataframes/train.csv", CSV)
    reading, _, account = tree.read("deepfashion2")
    assert len(reading.objects) == 3
    assert account.notes["read from"]["train"] == f"{MIRROR}train/annos"


def test_defects_of_the_csv_are_rejected_with_their_rows(small, rejects):
    rows = (
        row("train", "000001", 1, "[1, 2, 3]"), row("train", "000001", "1.0", [1, 1, 30, 30], pair="4.0"),
        row("train", "000009", 2, [1, 1, 30, 30]), ",1,x,,0,1\n",
    )  # fmt: skip
    reading, ledgers, account = mirror(small(MIRROR), "DeepFashion2/", *rows).read("deepfashion2")
    assert rejects(account) == [
        ("images", "train.csv:000009", "missing_image"),
        ("objects", "train.csv:row 1", "malformed_box"),
        ("objects", "train.csv:row 3", "image_rejected"),
        ("objects", "train.csv:row 4", "malformed_row"),
    ]
    assert (ledgers["images"]["rows_in"], ledgers["objects"]["rows_in"]) == (3, 5)
    assert [(row["object_id"], row["class_name"]) for row in reading.objects][0] == (
        "train-000001:item2", "short sleeve top",
    )  # fmt: skip


def test_csv_with_an_unknown_category_or_without_a_column_is_one_message(small):
    with pytest.raises(StageError, match=r"train.csv:row 1: category_id 14; tables/deepfashion2_classes.csv"):
        mirror(small(MIRROR), "DeepFashion2/", row("train", "000001", 14, [1, 1, 9, 9])).read("deepfashion2")
    tree = small(MIRROR)
    tree = mirror(tree, "DeepFashion2/")
    tree.text("DeepFashion2/img_info_dataframes/train.csv", "path,category_id\na,1\n")
    with pytest.raises(
        StageError, match=r"train.csv, line 1: no column b_box, pair_id, style; it has category_id, path"
    ):
        tree.read("deepfashion2")


def test_annotations_read_by_processes_are_those_read_by_one(small, monkeypatch):
    tree = small()
    for number in range(2, 8):
        tree.image(f"train/image/{number:06}.jpg", seed=number)
        tree.text(f"train/annos/{number:06}.json", "{" if number == 5 else json.dumps(GOLDEN | {"pair_id": number}))
    one, ledgers, _ = tree.read("deepfashion2")
    monkeypatch.setattr(deepfashion2, "CHUNK", 2)
    monkeypatch.setenv("SEAMLINE_WORKERS", "2")
    two, again, _ = tree.read("deepfashion2")
    assert (two.objects, two.images, again) == (one.objects, one.images, ledgers)
    assert len(one.objects) == 2 * 6 + 1


IMAGES = {"train/000001": "user", "validation/000001": "shop", "validation/000002": "street"}
COLUMNS = "path,category_id,b_box,style,pair_id"


@pytest.fixture
def pairs(tree):
    box = {"category_id": 8, "bounding_box": [1, 2, 30, 40], "style": 1}
    for seed, (name, source) in enumerate(IMAGES.items()):
        split, stem = name.split("/")
        tree.image(f"{split}/image/{stem}.jpg", seed=seed)
        tree.text(f"{split}/annos/{stem}.json", json.dumps({"source": source, "pair_id": 1, "item1": box}))
    return tree


def taken_by(tree):
    return {row["image_id"]: row["taken_by"] for row in tree.read("deepfashion2")[0].items}


def test_each_image_has_a_row_that_says_who_took_it(pairs):
    assert taken_by(pairs) == {"train-000001": "user", "validation-000001": "shop", "validation-000002": None}
    pairs.stage("deepfashion2")  # the account of the rows adds up


@pytest.mark.parametrize("column", [True, False])
def test_the_mirrors_table_may_lack_the_column(pairs, column):
    for path in sorted(pairs.root.rglob("*.json")):
        path.unlink()
    for split, names in (("train", ["000001"]), ("validation", ["000001", "000002"])):
        rows = [
            f'{split}/image/{name}.jpg,8,"[1, 2, 30, 40]",1,1' + (f",{IMAGES[f'{split}/{name}']}" if column else "")
            for name in names
        ]
        header = COLUMNS + (",source" if column else "")
        pairs.text(f"img_info_dataframes/{split}.csv", "\n".join([header, *rows]) + "\n")
    found = {"train-000001": "user", "validation-000001": "shop", "validation-000002": None}
    assert taken_by(pairs) == (found if column else dict.fromkeys(found))
