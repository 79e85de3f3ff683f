"""DeepFashion2: who took a photo, shop or user, which decides who asks and who answers in retrieval."""

import json

import pytest

IMAGES = {"train/000001": "user", "validation/000001": "shop", "validation/000002": "street"}
MIRROR = "path,category_id,b_box,style,pair_id"


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
        header = MIRROR + (",source" if column else "")
        pairs.text(f"img_info_dataframes/{split}.csv", "\n".join([header, *rows]) + "\n")
    found = {"train-000001": "user", "validation-000001": "shop", "validation-000002": None}
    assert taken_by(pairs) == (found if column else dict.fromkeys(found))
