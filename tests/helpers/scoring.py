"""Run evaluate_retrieval in a folder of a test."""

from argparse import Namespace
from types import SimpleNamespace

from stages.retrieval import evaluate_retrieval as evaluate


def score_encoders(folder, encoders, benchmarks, params):
    """What the stage reports; its metrics, plots and report lie in folders of these names below ``folder``."""
    names = ("embeddings", "benchmarks", "encoders", "metrics", "plots", "report")
    places = {name: folder / {"embeddings": "vectors", "encoders": "models"}.get(name, name) for name in names}
    lists = {"encoders": encoders, "benchmarks": benchmarks}
    return evaluate.main(Namespace(**places), SimpleNamespace(**lists, evaluate=params))
