"""The drawn trees of Category and Attribute Prediction, in both layouts."""

from collections import Counter

from stages.demo.sources.deepfashion_photos import CATEGORIES


def rows(drawn, name, header):
    lines = (drawn / "category_coarse" / name).read_text().splitlines()
    assert lines[1] == header and int(lines[0]) == len(lines) - 2
    return lines[2:]


def test_coarse_lists_are_upstreams(drawn):
    status = [line.split() for line in rows(drawn, "Eval/list_eval_partition.txt", "image_name evaluation_status")]
    assert Counter(row[1] for row in status) == {"train": 22, "val": 4, "test": 8}
    labels = [line.split() for line in rows(drawn, "Anno_coarse/list_category_img.txt", "image_name category_label")]
    names = [line.split() for line in rows(drawn, "Anno_coarse/list_category_cloth.txt", "category_name category_type")]
    assert len(names) == 50 and Counter(row[1] for row in names) == {"1": 20, "2": 16, "3": 14}
    for name, label in labels:
        # A folder is named by its category, as upstream's.
        assert name.split("/")[1].lower().endswith("_" + names[int(label) - 1][0].lower())
    attributes = rows(drawn, "Anno_coarse/list_attr_cloth.txt", "attribute_name attribute_type")
    assert any(" " in line.rsplit(None, 1)[0].strip() for line in attributes)
    for line in rows(drawn, "Anno_coarse/list_attr_img.txt", "image_name attribute_labels"):
        values = line.split()[1:]
        assert len(values) == len(attributes) and set(values) <= {"1", "-1", "0"}


def test_coarse_defects_are_drawn(drawn):
    images = {
        path.relative_to(drawn / "category_coarse/Img/img").as_posix()
        for path in (drawn / "category_coarse").rglob("*.jpg")
    }
    lines = rows(drawn, "Eval/list_eval_partition.txt", "image_name evaluation_status")
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


def test_fine_files_belong_together_line_by_line(drawn):
    folder = drawn / "category_fine/Anno_fine"
    for split, count in {"train": 20, "val": 4, "test": 8}.items():
        names = (folder / f"{split}.txt").read_text().splitlines()
        categories = (folder / f"{split}_cate.txt").read_text().splitlines()
        assert len(names) == len(categories) == count
        for name, number in zip(names, categories, strict=True):
            category = name.split("/")[1].rsplit("_", 1)[1]
            assert CATEGORIES[category][0] == int(number)
        for line in (folder / f"{split}_attr.txt").read_text().splitlines():
            assert len(line.split()) == 26 and set(line.split()) == {"0", "1"} and line.split().count("1") == 6
        assert len((folder / f"{split}_bbox.txt").read_text().splitlines()) == count
        assert {len(line.split()) for line in (folder / f"{split}_landmarks.txt").read_text().splitlines()} == {16}


def test_boxes_are_the_visible_pixels_of_the_garment(drawn, truth):
    coarse = [line.split() for line in rows(drawn, "Anno_coarse/list_bbox.txt", "image_name x_1 y_1 x_2 y_2")]
    folder = drawn / "category_fine/Anno_fine"
    fine = [
        [name, *box.split()]
        for split in ("train", "val", "test")
        for name, box in zip(
            (folder / f"{split}.txt").read_text().splitlines(),
            (folder / f"{split}_bbox.txt").read_text().splitlines(),
            strict=True,
        )
    ]
    for source, listed, count in (("category_coarse", coarse, 34), ("category_fine", fine, 32)):
        shown = {row["item"].lower(): row for row in truth(source) if row["item"]}
        assert len(shown) == len(listed) == count
        for name, *box in listed:
            row = shown[name.removeprefix("img/").removesuffix(".jpg").lower()]
            assert [int(corner) for corner in box] == [row[corner] for corner in ("x1", "y1", "x2", "y2")]
