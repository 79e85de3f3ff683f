"""The catalogue of retrieval metrics: how each is computed, what it is called, and where it is shown.

A metric is a function and its entry in ``METRICS``. The evaluator (metrics.py), the metrics files and with them MLflow,
`make repro` and `make review`, the leaderboard, `make seeds`, the comparison with and without flip, the table of
foreign vectors: all of them read the catalogue, and none of them names a metric.

The metrics, for a query with R relevant rows in a gallery of G:
    hit@k           1 when a relevant row is among the first k, else 0.
    precision@k     relevant rows among the first k, divided by k.
    recall@k        the same, divided by R.
    mAP             mean over the relevant rows of the precision at their rank.
    MAP@R           the same over the first R ranks only, divided by R (Musgrave et al. 2020, eq. 3).
    R-precision     precision at R.
    MRR             1 / rank of the first relevant row.
A k beyond the gallery means the whole gallery: hit@k and recall@k are those at G; precision@k still divides by k.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np

from stages.retrieval.relevance import Ranking


@dataclass(frozen=True)
class Ranks:
    """The ranks of all P relevant rows of Q queries, query after query: the input of every metric.

    Attributes:
        ranking: the ranks.
        largest: the largest k that ``relevant_within`` gets.
    """

    ranking: Ranking
    largest: int = 0
    _counts: dict[int, np.ndarray] = field(default_factory=dict)

    @cached_property
    def owner(self) -> np.ndarray:
        """int64 [P], the query that each relevant row belongs to."""
        return np.repeat(np.arange(len(self.ranking.counts)), self.ranking.counts)

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 [Q], where the ranks of each query begin."""
        return np.cumsum(self.ranking.counts) - self.ranking.counts

    @cached_property
    def relevant(self) -> np.ndarray:
        """float64 [Q], R of each query; NaN for a query without a relevant row, which is left out."""
        return np.where(self.ranking.relevant > 0, self.ranking.relevant, np.nan)

    @cached_property
    def scored(self) -> np.ndarray:
        """float64 [Q], 1, or NaN for a query that is left out."""
        return self.relevant / self.relevant

    @cached_property
    def precision(self) -> np.ndarray:
        """float64 [P], the precision at the rank of each relevant row."""
        place = np.arange(1, len(self.owner) + 1) - np.repeat(self.starts, self.ranking.counts)
        return place / self.ranking.ranks

    @cached_property
    def within_r(self) -> np.ndarray:
        """bool [P], whether a relevant row is among the first R of its query."""
        return self.ranking.ranks <= self.ranking.relevant[self.owner]

    @cached_property
    def _near(self) -> tuple[np.ndarray, np.ndarray]:
        near = self.ranking.ranks <= self.largest  # few, where thousands are relevant
        return self.owner[near], self.ranking.ranks[near]

    def total(self, per_row: np.ndarray) -> np.ndarray:
        """float64 [Q], the sum over the relevant rows of each query of numbers [P]."""
        return np.bincount(self.owner, per_row, minlength=len(self.ranking.counts))

    def relevant_within(self, k: int) -> np.ndarray:
        """int64 [Q], relevant rows among the first k."""
        if k not in self._counts:
            owner, ranks = self._near
            self._counts[k] = np.bincount(owner[ranks <= k], minlength=len(self.ranking.counts))
        return self._counts[k]


def hit(ranks: Ranks, k: int) -> np.ndarray:
    """1 if a relevant row is among the first k, else 0; float64 [Q], as of all metrics."""
    return (ranks.relevant_within(k) > 0) * ranks.scored


def precision(ranks: Ranks, k: int) -> np.ndarray:
    """Share of relevant rows among the first k."""
    return ranks.relevant_within(k) / k * ranks.scored


def recall(ranks: Ranks, k: int) -> np.ndarray:
    """Share of the relevant rows that are among the first k."""
    return ranks.relevant_within(k) / ranks.relevant


def average_precision(ranks: Ranks) -> np.ndarray:
    """Mean over the relevant rows of the precision at their rank (AP)."""
    return ranks.total(ranks.precision) / ranks.relevant


def average_precision_at_r(ranks: Ranks) -> np.ndarray:
    """The same over the first R ranks only, divided by R."""
    return ranks.total(ranks.precision * ranks.within_r) / ranks.relevant


def r_precision(ranks: Ranks) -> np.ndarray:
    """Precision at R."""
    return ranks.total(ranks.within_r) / ranks.relevant


def reciprocal_rank(ranks: Ranks) -> np.ndarray:
    """1 / rank of the first relevant row."""
    ranked = ranks.ranking.counts > 0
    reciprocal = np.zeros(len(ranked))
    reciprocal[ranked] = 1 / ranks.ranking.ranks[ranks.starts[ranked]]
    return reciprocal * ranks.scored


def chance_hit(gallery: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """[n] probability that a random order has a relevant row in its first k: 1 - C(G-R, k) / C(G, k)."""
    gallery, relevant = np.asarray(gallery, np.float64), np.asarray(relevant, np.float64)
    none_found = np.ones(len(gallery))
    for drawn in range(k):
        left = gallery - drawn
        none_found *= np.clip((left - relevant) / np.where(left > 0, left, 1), 0, None)
    return 1 - none_found


def _harmonic(gallery: np.ndarray) -> np.ndarray:
    """1 + 1/2 + ... + 1/G of each G."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, max(gallery, default=0) + 1))])[gallery]


def chance_average_precision(gallery: np.ndarray, relevant: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    """[n] expected average precision of a random order of G rows with R relevant ones, over its first N ranks.

    Rank i is relevant with probability R/G, and then (i-1)(R-1)/(G-1) more are expected before it; the sum over
    i <= N of both, divided by i and R, is (H + (R-1)/(G-1) (N-H)) / G with the harmonic number H = 1 + ... + 1/N.
    N is ``first``, or G; with N = R this is what MAP@R expects.
    """
    gallery, relevant = np.asarray(gallery, np.int64), np.asarray(relevant, np.int64)
    first = gallery if first is None else np.asarray(first, np.int64)
    harmonic = _harmonic(first)
    share = (relevant - 1) / np.maximum(gallery - 1, 1)
    return (harmonic + share * (first - harmonic)) / gallery


def chance_average_precision_at_r(gallery: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """[n] what MAP@R of a random order is on average."""
    return chance_average_precision(gallery, relevant, relevant)


class Place(Enum):
    """Where a metric is shown."""

    METRICS = auto()  # metrics/<profile>/retrieval: `make summary`, `make review`, MLflow; leads the leaderboard
    PAGE = auto()  # a column of docs/leaderboard.md
    SEEDS = auto()  # a claim of `make seeds`
    COMPARED = auto()  # with flip and without it, and of each attended region
    CLEAN = auto()  # clean.csv: with and without queries that nearly repeat a training picture
    TERMINAL = auto()  # the table of `score_vectors`
    INTERVAL = auto()  # with a bootstrap interval in the reports
    BRACKETS = auto()  # with that interval on the page and where vectors are compared


ALL: Literal["all"] = "all"
Ks = tuple[int, ...] | Literal["all"]  # of the metrics that have a k: which ones; the others say ALL
USUAL = (1, 5, 10, 20, 50)


@dataclass(frozen=True)
class Metric:
    """One metric, or one for each k.

    Attributes:
        key: in reports and in docs/published.csv; ``{k}`` stands for the k.
        label: on pages and in metrics files, as the literature spells it.
        of_query: its value for each query, [Q]; takes the k where there is one.
        of_chance: of gallery sizes [n], numbers of relevant rows [n], and the k where there is one: what a random order
            scores on average, [n]. None: not known.
        shown: place -> the k that are shown there.
        higher_is_better: which of two values leads a table.
        missed: of a query that was never detected; the worst value there is.
    """

    key: str
    label: str
    of_query: Callable[..., np.ndarray]
    shown: Mapping[Place, Ks] = field(default_factory=dict)
    of_chance: Callable[..., np.ndarray] | None = None
    higher_is_better: bool = True
    missed: float = 0.0

    @property
    def has_k(self) -> bool:
        """Whether there is one for each k."""
        return "{k}" in self.key

    def at(self, ks: Iterable[int]) -> list["Measure"]:
        """The metric at each k, in their order; itself where it has none."""
        if not self.has_k:
            return [Measure(self.key, self.label, self, ())]
        return [Measure(self.key.format(k=k), self.label.format(k=k), self, (k,)) for k in ks]


class Measure(NamedTuple):
    """A metric at one k: one number of a report. ``k`` is (k,), or () where the metric has none."""

    key: str
    label: str
    metric: Metric
    k: tuple[int, ...]

    @property
    def ends(self) -> tuple[str, str]:
        """Keys of the lower and the upper end of its interval."""
        return f"{self.key}_low95", f"{self.key}_high95"

    def shown(self, place: Place) -> bool:
        """Whether ``place`` shows it."""
        ks = self.metric.shown.get(place, ())
        return ks == ALL or (bool(ks) and set(self.k) <= set(ks))

    def order(self, value: float | None) -> float:
        """A number to sort values by, the best first; what was not measured comes last."""
        if value is None:
            return np.inf
        return -value if self.metric.higher_is_better else value


HIT = Metric(
    key="hit_at_{k}",
    label="hit@{k}",
    of_query=hit,
    of_chance=chance_hit,
    shown={
        Place.METRICS: (1,),
        Place.PAGE: USUAL,
        Place.SEEDS: (1, 5),
        Place.COMPARED: ALL,
        Place.CLEAN: (1,),
        Place.TERMINAL: USUAL,
        Place.INTERVAL: (1,),
        Place.BRACKETS: (1,),
    },
)
# In the order in which tables show them.
METRICS = (
    HIT,
    Metric(
        key="map",
        label="mAP",
        of_query=average_precision,
        of_chance=chance_average_precision,
        shown=dict.fromkeys(set(Place) - {Place.METRICS}, ALL),
    ),
    Metric(
        key="map_at_r",
        label="MAP@R",
        of_query=average_precision_at_r,
        of_chance=chance_average_precision_at_r,
        shown=dict.fromkeys((Place.PAGE, Place.COMPARED, Place.TERMINAL, Place.INTERVAL), ALL),
    ),
    Metric("mrr", "MRR", reciprocal_rank, dict.fromkeys((Place.COMPARED, Place.TERMINAL), ALL)),
    Metric("r_precision", "R-precision", r_precision),
    Metric("precision_at_{k}", "precision@{k}", precision),
    Metric("recall_at_{k}", "recall@{k}", recall),
)
LEADING = HIT.at((1,))[0]  # what encoders are ranked by


def every(ks: Iterable[int]) -> list[Measure]:
    """What the evaluator computes for each k of ``evaluate.ks``."""
    ks = list(ks)
    return [measure for metric in METRICS for measure in metric.at(ks)]


@cache
def find(name: str) -> Measure | None:
    """The measure of a key or label; None when it is no metric's."""
    for metric in METRICS:
        for spelling in (metric.key, metric.label):
            if match := re.fullmatch(re.escape(spelling).replace(r"\{k\}", "([0-9]+)"), name):
                return metric.at(int(k) for k in match.groups())[0]
    return None


def shown_at(place: Place, also: Iterable[str] = ()) -> list[Measure]:
    """The measures that ``place`` shows, in the order of the catalogue and of k.

    Args:
        also: keys; of the metrics that the place shows, those at a k that stands here are shown as well.
    """
    more = [measure for measure in map(find, also) if measure]
    measures = []
    for metric in METRICS:
        if ks := metric.shown.get(place):
            listed = () if ks == ALL else ks
            wanted = (k for measure in more if measure.metric is metric for k in measure.k)
            measures += metric.at(sorted({*listed, *wanted}))
    return measures


def shown_names(place: Place, names: Iterable[str], intervals: Place | None = None) -> list[str]:
    """Those of ``names`` that ``place`` shows, with both ends of the intervals that ``intervals`` shows."""
    names = list(names)
    measures = [measure for measure in map(find, names) if measure and measure.shown(place)]
    wanted = {measure.key for measure in measures}
    if intervals is not None:
        wanted.update(end for measure in measures if measure.shown(intervals) for end in measure.ends)
    return [name for name in names if name in wanted]
