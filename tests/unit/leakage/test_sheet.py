"""Pairs of a held-out and a training garment as one picture."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from stages.leakage.leakage import PictureSet
from stages.leakage.rows import RowTable
from stages.leakage.same_item import Suspect
from stages.leakage.sheet import ACROSS, CAPTION, GAP, MOST, PICTURE, pair_sheet, shown_pairs


def png(color):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(stream, "PNG")
    return stream.getvalue()


def one_set(path, **rows):
    """``rows``: name -> color."""
    pq.write_table(pa.table({"row_id": list(rows), "bytes": [png(color) for color in rows.values()]}), path)
    return PictureSet(tables=[RowTable(path, "row_id", {name: ("shop", name) for name in rows}, "test")])


def suspect(held_out, training, cosine=0.9, sets=("asked", "taught")):
    return Suspect(sets[0], ("shop", held_out), sets[1], ("shop", training), cosine)


def test_the_held_out_garment_is_on_the_left_and_its_training_garment_on_the_right(tmp_path):
    sets = {"asked": one_set(tmp_path / "a", q="red", r="blue"), "taught": one_set(tmp_path / "b", t="lime", q="black")}
    sheet = np.asarray(pair_sheet(sets, [suspect("q", "t"), suspect("r", "q", 0.8)]))
    assert sheet.shape == (PICTURE + CAPTION + 2 * GAP, 2 * (2 * PICTURE + GAP) + GAP, 3)
    middle = GAP + PICTURE // 2
    columns = [GAP + PICTURE // 2, GAP + PICTURE + PICTURE // 2]
    columns += [column + 2 * PICTURE + GAP for column in columns]
    assert [tuple(sheet[middle, column]) for column in columns] == [
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0),
    ]  # fmt: skip
    assert (sheet[GAP + PICTURE :, :] < 200).any()  # the words below


def test_a_pair_of_two_benchmarks_over_one_source_is_shown_once_and_a_sheet_has_an_end():
    pairs = [suspect("q", "t", 0.95), suspect("q", "t", 0.95, ("asked", "taught too")), suspect("q", "u", 0.9)]
    assert shown_pairs(pairs) == [pairs[0], pairs[2]]
    many = [suspect(f"q{number}", "t") for number in range(MOST + 1)]
    assert shown_pairs(many) == many[:MOST] and MOST % ACROSS == 0
