"""The drawn fine files of Category and Attribute Prediction."""

from stages.demo.sources.deepfashion_photos import CATEGORIES


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
