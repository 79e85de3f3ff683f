"""Photos that the drawn sources of DeepFashion's lists share."""

from small_demo import coarse_rows


def test_boxes_are_the_visible_pixels_of_the_garment(drawn, truth):
    coarse = [line.split() for line in coarse_rows(drawn, "Anno_coarse/list_bbox.txt", "image_name x_1 y_1 x_2 y_2")]
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
