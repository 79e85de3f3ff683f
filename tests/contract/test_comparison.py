"""What `.ci/run` accepts of a reproduction on another CPU."""

import importlib.util
import json

import pytest
from places import ROOT

spec = importlib.util.spec_from_file_location("compare", ROOT / ".ci" / "compare.py")
assert spec is not None and spec.loader is not None
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)


@pytest.mark.parametrize(
    ("committed", "reproduced", "differing"),
    [
        ({"hit@1": 0.219}, {"hit@1": 0.344}, []),  # 4 of 32 queries
        ({"hit@1": 0.5}, {"hit@1": 0.71}, ["hit@1"]),
        ({"leaks": 100}, {"leaks": 119}, []),
        ({"leaks": 100}, {"leaks": 121}, ["leaks"]),
        ({"epoch": 8, "accuracy": 0.7}, {"epoch": 2, "accuracy": 0.7}, []),
        ({"epoch": 8}, {}, ["epoch"]),
        ({"type": 0.7}, {"type": 0.7, "color": 0.9}, ["color"]),
    ],
)
def test_numbers_may_move_by_the_tolerance_and_the_kept_epoch_freely(tmp_path, committed, reproduced, differing):
    for name, content in (("committed", committed), ("reproduced", reproduced)):
        (tmp_path / name / "metrics/demo").mkdir(parents=True)
        (tmp_path / name / "metrics/demo/scores.json").write_text(json.dumps(content))
    lines = compare.beyond_tolerance(tmp_path / "committed", tmp_path / "reproduced", ["scores.json"])
    assert [line.split("/")[1].split(":")[0] for line in lines] == differing
