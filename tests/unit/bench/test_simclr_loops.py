"""The bench of SimCLR compares equals: the same start, the same photos, rates by hand."""

import time

import pytest
import torch

from bench import simclr_loops
from bench.simclr_loops import Ours, Record, Tutorial, contest, held_out_views, readable, table


def test_rates_and_ratios_by_hand():
    records = {
        "one": Record(100, [4.0, 1.0], [8.0, 2.0], [2.5, 2.0], [3.0, 2.5, 2.0]),
        "two": Record(100, [1.0, 1.0], [1.0, 1.0]),
    }
    rows = table(records)[2:]
    assert rows[0] == "| one | 40 | 1.00 | 20 | 1.00 | 2.500, 2.000 | 3.000, 2.500, 2.000 |"
    assert rows[1].startswith("| two | 100 | 2.50 | 100 | 5.00 |")


def test_long_rows_of_losses_are_thinned_out_evenly():
    assert simclr_loops.few([float(n) for n in range(21)]) == [0, 4, 8, 12, 16, 20]
    assert simclr_loops.few([1.0, 2.0]) == [1, 2]
    assert simclr_loops.few([1.0]) == [1] and simclr_loops.few([]) == []


def test_cpu_time_counts_what_this_process_does():
    before, start = simclr_loops.cpu_seconds(), time.process_time()
    while time.process_time() < start + 0.2:
        sum(range(10_000))
    assert simclr_loops.cpu_seconds() >= before + 0.15  # in steps of 10 ms


def test_photos_that_do_not_decode_are_said_and_left_out(crops, tmp_path, capsys):
    for name, data in (("whole.jpg", crops[0]), ("cut.jpg", crops[0][:300]), ("text.jpg", b"no picture")):
        (tmp_path / name).write_bytes(data)
    assert [path.name for path in sorted(tmp_path.iterdir()) if readable(path)] == ["whole.jpg"]
    said = capsys.readouterr().err
    assert said.count("left out: ") == 2 and "cut.jpg: " in said and "text.jpg: " in said


@pytest.mark.slow
def test_loops_start_equal_and_train_on_the_same_photos(crops, cpu, tmp_path):
    photos = [tmp_path / f"{number:02}.jpg" for number in range(len(crops))]
    for path, data in zip(photos, crops, strict=True):
        path.write_bytes(data)
    views = held_out_views(photos[:4], 32)
    tutorial = Tutorial(photos, 1, batch=6, side=32)
    loops = {"theirs": tutorial, "theirs, bfloat16": Tutorial(photos, 1, batch=6, side=32, start=tutorial)}
    for name, runtime in simclr_loops.OURS.items():
        loops[name] = Ours(photos, 1, tutorial, runtime, batch=6, side=32)
    before = [loop.projections(views[0]) for loop in loops.values()]
    assert all(torch.allclose(one, before[0], atol=1e-4) for one in before)
    records = contest(loops, 12, 1, views)
    for record in records.values():
        assert record.held_out[0] == pytest.approx(records["theirs"].held_out[0], abs=1e-4)
        assert 0 < record.losses[0] < 10
        assert record.held_out[1] != record.held_out[0]
        assert len(record.seconds) == len(record.cpu) == 1
