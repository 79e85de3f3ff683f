"""The drawn coarse lists of Category and Attribute Prediction."""

from collections import Counter

from small_demo import coarse_rows


def test_coarse_lists_are_upstreams(drawn):
    status = [
        line.split() for line in coarse_rows(drawn, "Eval/list_eval_partition.txt", "image_name evaluation_status")
    ]
    assert Counter(row[1] for row in status) == {"train": 22, "val": 4, "test": 8}
    labels = [
        line.split() for line in coarse_rows(drawn, "Anno_coarse/list_category_img.txt", "image_name category_label")
    ]
    names = [
        line.split()
        for line in coarse_rows(drawn, "Anno_coarse/list_category_cloth.txt", "category_name category_type")
    ]
    assert len(names) == 50 and Counter(row[1] for row in names) == {"1": 20, "2": 16, "3": 14}
    for name, label in labels:
        # A folder is named by its category, as upstream's.
        assert name.split("/")[1].lower().endswith("_" + names[int(label) - 1][0].lower())
    attributes = coarse_rows(drawn, "Anno_coarse/list_attr_cloth.txt", "attribute_name attribute_type")
    assert any(" " in line.rsplit(None, 1)[0].strip() for line in attributes)
    for line in coarse_rows(drawn, "Anno_coarse/list_attr_img.txt", "image_name attribute_labels"):
        values = line.split()[1:]
        assert len(values) == len(attributes) and set(values) <= {"1", "-1", "0"}


def test_coarse_defects_are_drawn(drawn):
    images = {
        path.relative_to(drawn / "category_coarse/Img/img").as_posix()
        for path in (drawn / "category_coarse").rglob("*.jpg")
    }
    lines = coarse_rows(drawn, "Eval/list_eval_partition.txt", "image_name evaluation_status")
    status = {line.split()[0].removeprefix("img/"): line.split()[1] for line in lines}
    assert len(set(status) - images) == 3  # the lists spell them otherwise
    assert {name.lower() for name in status} == {name.lower() for name in images}
    again = [name for name in images if name.endswith("_again.jpg")]
    folder = drawn / "category_coarse/Img/img"
    by_name = {name.lower(): split for name, split in status.items()}
    assert len(again) == 2
    for name in again:
        first = name.replace("_again", "")
        assert (folder / name).read_bytes() == (folder / first).read_bytes()
        assert (by_name[name.lower()], by_name[first.lower()]) == ("train", "test")
