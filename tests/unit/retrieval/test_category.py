"""Category prediction by vote: worked out by hand, and against scikit-learn's k-NN."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from stages.retrieval import ranking
from stages.retrieval.category import Votes, majority_accuracies, predict, softmax_figures, top_accuracies, vote_ranks
from stages.retrieval.metrics import EvaluateParams, evaluate
from stages.retrieval.similarity import Rows

GALLERY = np.array([0, 0, 1, 1, 1, 2])


def ranks(scores, true, k):
    return vote_ranks(np.array([scores]), GALLERY, np.array([true]), k).tolist()[0]


def test_most_votes_come_first():
    near = [0.9, 0.8, 0.7, 0.6, 0.1, 0.2]  # of 4: two of category 0, two of category 1
    assert ranks(near, 0, 3) == 1
    assert ranks(near, 1, 3) == 2


def test_equal_votes_are_ranked_by_the_nearest_image():
    near = [0.9, 0.8, 0.7, 0.6, 0.1, 0.2]
    assert (ranks(near, 0, 4), ranks(near, 1, 4)) == (1, 2)


def test_category_without_a_vote_is_the_last():
    assert ranks([0.9, 0.8, 0.7, 0.6, 0.1, 0.2], 2, 4) == 3


def test_constant_embedding_never_beats_the_others():
    assert ranks([0.5] * 6, 1, 3) == 3  # three others come before it: it gets no vote
    assert ranks([0.5] * 6, 1, 6) == 1  # with all voting it has the most, whatever the order
    assert ranks([0.5] * 6, 2, 6) == 3
    assert ranks([0.5] * 6, 0, 2) == 3


def test_all_images_vote_where_there_are_fewer_than_k():
    assert ranks([0.9, 0.8, 0.7, 0.6, 0.1, 0.2], 1, 50) == 1


def test_first_place_is_that_of_sklearns_vote():
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(200, 8))
    labels = rng.integers(0, 5, 200)
    gallery += labels[:, None] * 0.5
    queries = rng.normal(size=(60, 8)) + rng.integers(0, 5, 60)[:, None] * 0.5
    distances = ((queries[:, None] - gallery[None]) ** 2).sum(-1)
    model = KNeighborsClassifier(15).fit(gallery, labels)
    shares = model.predict_proba(queries)
    for true in range(5):
        found = vote_ranks(-distances, labels, np.full(60, true), 15)
        certain = (shares > shares[:, [true]]).sum(1)  # at least so many are before it, at most those that equal it
        equal = (shares == shares[:, [true]]).sum(1) - 1
        assert ((found >= 1 + certain) & (found <= 1 + certain + equal)).all()


def test_majority_names_the_most_frequent_categories():
    # GALLERY has three of category 1, two of 0, one of 2.
    assert majority_accuracies(GALLERY, np.array([1, 0, 2]), 4, (1, 2, 3)) == {
        "top_1": 0.25,
        "top_2": 0.5,
        "top_3": 0.75,
    }


def test_equally_frequent_categories_share_the_places_of_the_majority():
    four = np.array([0, 1, 2, 3])
    assert majority_accuracies(four, four, 4, (1, 3, 5)) == {"top_1": 0.25, "top_3": 0.75, "top_5": 1.0}
    assert majority_accuracies(np.array([0, 0, 1, 2]), np.array([1, 2]), 2, (1, 2)) == {"top_1": 0.0, "top_2": 0.5}


def test_accuracy_counts_queries_that_were_not_ranked_as_misses():
    found = np.array([1, 2, 3, 6])
    assert top_accuracies(found, 4) == {"top_1": 0.25, "top_3": 0.75, "top_5": 0.75}
    assert top_accuracies(found, 6, (3,)) == {"top_3": 0.5}


def test_k_that_is_not_reached_by_any_tie_changes_nothing():
    scores = np.array([[0.9, 0.2, 0.8, 0.7, 0.6, 0.1]])
    assert [int(vote_ranks(scores, GALLERY, np.array([1]), k)[0]) for k in (1, 2, 3, 4)] == [3, 2, 1, 1]


@pytest.mark.parametrize("k", [1, 3, 6])
def test_order_of_the_gallery_changes_nothing(k):
    rng = np.random.default_rng(1)
    scores, order = rng.normal(size=(10, 6)), rng.permutation(6)
    truth = rng.integers(0, 3, 10)
    assert (
        vote_ranks(scores, GALLERY, truth, k).tolist()
        == vote_ranks(scores[:, order], GALLERY[order], truth, k).tolist()
    )


def at(angles, items, prefix, missed=()):
    """Rows of unit vectors at angles in degrees; their category is another thing than their item."""
    turned = np.radians(np.array(angles, float))
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    ids = [f"{prefix}{number}" for number in range(len(items))]
    return Rows(ids, items, ["clothes"] * len(items), vectors, np.array([one not in missed for one in ids]))


# Six coats, eight dresses, two skirts; ten of them vote.
CLOTHES = at([*range(6), *range(20, 28), 90, 91], ["coat"] * 6 + ["dress"] * 8 + ["skirt"] * 2, "g")
# q0: six coats and four dresses are nearest. q1: eight dresses and two coats, no skirt: the last of three. q2: five coats
# and five dresses, a dress (20) nearest by 7.4 degrees against 7.6: second. q3 was not detected. q4 is left out.
ASKING = at([2, 23, 12.6, 0, 2], ["coat", "skirt", "coat", "coat", "hat"], "q", missed=("q3",))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_accuracies_of_a_benchmark_worked_out_by_hand(metric):
    votes, majority = predict(ASKING, CLOTHES, metric, 64)
    assert votes == {"n_scored": 4, "neighbors": 10, "top_1": 1 / 4, "top_3": 3 / 4, "top_5": 3 / 4}
    # Dresses, coats, skirts: the two coats come second, the skirt third, and the query that was not detected never.
    assert majority == {"top_1": 0, "top_3": 3 / 4, "top_5": 3 / 4}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_block_sizes_change_no_accuracy(metric):
    rng = np.random.default_rng(3)
    rows = [
        Rows(
            [f"{part}{n}" for n in range(count)],
            rng.integers(0, 6, count),
            ["x"] * count,
            vectors,
            np.ones(count, bool),
        )
        for part, count in (("q", 60), ("g", 300))
        for vectors in [rng.normal(size=(count, 8)) * rng.uniform(1, 9, (count, 1))]
    ]
    whole = predict(*rows, metric, 64)
    assert [predict(*rows, metric, megabytes) for megabytes in (0.0001, 0.01)] == [whole, whole]
    queries, gallery = rows
    if metric == "cosine":
        queries, gallery = (
            Rows(r.ids, r.items, r.categories, r.vectors / np.linalg.norm(r.vectors, axis=1, keepdims=True), r.detected)
            for r in rows
        )
    squared = ((queries.vectors[:, None] - gallery.vectors[None]) ** 2).sum(2)
    expected = vote_ranks(-squared, gallery.items.to_numpy(), queries.items.to_numpy())
    assert whole[0]["top_3"] == pytest.approx((expected <= 3).mean())


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_vote_on_rows_that_were_ranked_whole_is_that_of_scoring_them_again(metric, monkeypatch):
    rng = np.random.default_rng(4)
    rows = []
    for part, count in (("q", 60), ("g", 300)):
        vectors = rng.normal(size=(count, 8)).round(1 if part == "g" else 6)
        vectors[1::2] = vectors[::2]  # equals vote too
        items = rng.integers(0, 40, count)
        rows.append(Rows([f"{part}{n}" for n in range(count)], items, items, vectors, np.arange(count) % 9 > 0))
    told = []
    near = Votes.near
    monkeypatch.setattr(Votes, "near", lambda self, row, *given: (told.append(row), near(self, row, *given)))
    rows[1] = Rows(rows[1].ids, rows[1].items, rows[1].categories, rows[1].vectors, np.ones(300, bool))
    params = EvaluateParams(ks=[1], bootstrap_samples=1, seed=0, memory_mb=64)
    apart = evaluate(*rows, metric, params, categories_too=True)
    assert not told
    monkeypatch.setattr(ranking, "MANY_RELEVANT", 0)
    assert evaluate(*rows, metric, params, categories_too=True) == apart
    assert len(told) > 40 and apart["category_prediction"]["top_1"] > 0


def test_softmax_of_an_encoder_is_scored_where_it_learned_the_category_worked_out_by_hand():
    """It knows coat, dress, shoe. q0: coat first. q1: its skirt is unknown. q2: a tie, which counts against the coat.

    q3 was not detected: a miss. q4's hat is not in the gallery: left out as everywhere.
    """
    shares = np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.9, 0.1, 0.0], [0.5, 0.3, 0.2]])
    names = ["coat", "dress", "shoe"]
    found = softmax_figures(shares, names, ASKING, CLOTHES)
    assert found == {
        "n_scored": 3, "n_unknown": 1, "classes": 3, "known": 2, "top_1": 1 / 3, "top_3": 2 / 3, "top_5": 2 / 3,
        # Two of three were detected. Naming one of three: a third of these; coats are the second most frequent.
        "chance_top_1": 2 / 9, "chance_top_3": 2 / 3, "chance_top_5": 2 / 3,
        "majority_top_1": 0, "majority_top_3": 2 / 3, "majority_top_5": 2 / 3,
    }  # fmt: skip
    without_q2 = softmax_figures(shares, names, ASKING, CLOTHES, np.arange(5) == 2)
    assert (without_q2["n_scored"], without_q2["top_1"], without_q2["chance_top_1"]) == (2, 0.5, 1 / 6)
    assert softmax_figures(shares, ["shoe", "bag", "cap"], ASKING, CLOTHES) == {
        "n_scored": 0, "n_unknown": 4, "classes": 3, "known": 0,
    }  # fmt: skip


def test_nothing_is_predicted_where_no_query_has_its_category_in_the_gallery():
    assert predict(at([2], ["hat"], "q"), CLOTHES, "cosine", 64) == ({"n_scored": 0}, {})
    missed = predict(at([2], ["coat"], "q", missed=("q0",)), CLOTHES, "cosine", 64)
    assert missed[0]["top_5"] == 0 and missed[1]["top_5"] == 0
