"""Times of the stages of a repro, summed for `make bench`."""

from bench.stages import table
from stages.runner.times import Ran


def test_table_tells_work_from_start_and_from_dvc():
    ran = [Ran("embed", 10, 12, 20), Ran("ingest@a", 21, 21.5, 22), Ran("ingest@b", 24, 24.5, 25)]
    assert [line.split() for line in table(ran)] == [
        ["stage", "entries", "work", "start", "DVC", "seconds"],
        ["embed", "1", "8.0", "2.0", "0.0"],
        ["ingest", "2", "1.0", "1.0", "3.0"],
        ["all", "3", "9.0", "3.0", "3.0"],
    ]
