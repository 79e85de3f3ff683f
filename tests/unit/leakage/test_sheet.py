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
    return Suspect(sets[0], held_out, sets[1], training, cosine)


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


def test_a_pair_of_two_benchmarks_over_one_source_is_shown_once(tmp_path):
    """Rows of other sources with the same names are another pair, since their pictures differ."""
    sets = {
        "asked": one_set(tmp_path / "a", q="red"),
        "taught": one_set(tmp_path / "b", t="lime", u="blue"),
        "taught too": one_set(tmp_path / "c", t="lime"),
        "another": one_set(tmp_path / "d", t="black"),
    }
    pairs = [suspect("q", "t", 0.95, ("asked", name)) for name in ("taught", "taught too", "another")]
    pairs.append(suspect("q", "u", 0.9))
    assert [one for one, *_ in shown_pairs(sets, pairs)] == [pairs[0], pairs[2], pairs[3]]


def test_a_sheet_has_an_end(tmp_path):
    grays = {f"q{number}": (number, number, number) for number in range(MOST + 1)}
    sets = {"asked": one_set(tmp_path / "a", **grays), "taught": one_set(tmp_path / "b", t="lime")}
    pairs = [suspect(name, "t") for name in grays]
    assert [one for one, *_ in shown_pairs(sets, pairs)] == pairs[:MOST]
    assert pair_sheet(sets, pairs).height == MOST // ACROSS * (PICTURE + CAPTION + GAP) + GAP
