"""What switching profiles leaves behind."""

from pathlib import Path

from stages.profiles.use import leftovers


def test_only_outs_that_no_stage_makes_are_leftovers():
    stages = {"evaluate_retrieval": [Path("metrics/p/retrieval")], "embed@b": [Path("data/p/embeddings/b")]}
    gone = {
        "evaluate_retrieval@a": ["metrics/p/retrieval/a.json"],  # lies in what a stage of now makes
        "embed@a": ["data/p/embeddings/a", "data/other/embeddings/a"],
        "embed": ["data/p/embeddings"],  # holds what a stage of now makes
    }
    assert leftovers(gone, "p", stages) == [Path("data/p/embeddings/a")]
