"""Neither witness sees a row's own label, or that of its group: folds, classifier out of fold, neighbors."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from stages.suspects.witnesses import folds_of, leakage_groups, neighbor_shares, out_of_fold, principal_components


def row(group, cluster, picture=None, source="shop"):
    return {"source": source, "group_id": group, "cluster": cluster, "picture": picture or f"{source}/{cluster}"}


def test_rows_that_share_a_person_a_cluster_or_a_picture_are_one_group_over_others_too():
    rows = [
        row("anna", "p1"), row("anna", "p2"), row("bea", "p2"), row("cleo", "p9"),
        row("bea", "q", source="other"),  # the same id elsewhere may be the same person
        row("dora", "p1", source="other"),  # the same cluster name elsewhere is another cluster
        row("emil", "z", "other/p1"), row("cleo", "y"),
    ]  # fmt: skip
    groups = leakage_groups(rows)
    assert [groups[0] == other for other in groups] == [True, True, True, False, True, False, False, False]
    assert groups[3] == groups[7] and groups[5] == groups[6] and len(set(groups)) == 3


def test_folds_hold_whole_groups_and_about_as_many_rows():
    groups = np.repeat(np.arange(20), [30, 9, 9, *[3] * 17])
    names = [f"row{number}" for number in range(len(groups))]
    folds = folds_of(groups, names, 4)
    assert all(len(set(folds[groups == group])) == 1 for group in range(20))
    assert np.bincount(folds).tolist() == [30, 24, 24, 21]  # the largest group fills one
    order = np.random.default_rng(0).permutation(len(groups))
    assert (folds_of(groups[order], [names[at] for at in order], 4) == folds[order]).mean() > 0.5


@pytest.fixture
def blobs():
    """Three classes of 40 rows in five dimensions, their labels, and groups of two rows."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 40)
    return rng.normal(size=(120, 5)) + 3 * np.eye(3, 5)[labels], labels, np.repeat(np.arange(60), 2)


def test_a_row_is_judged_by_a_model_of_the_other_folds(blobs):
    vectors, labels, groups = blobs
    folds = groups % 5
    found = out_of_fold(vectors, labels, folds, 1.0)
    assert found.sum(axis=1) == pytest.approx(1)
    own = LogisticRegression(tol=1e-10, max_iter=1000).fit(vectors[folds != 2], labels[folds != 2])
    assert found[folds == 2] == pytest.approx(own.predict_proba(vectors[folds == 2]), abs=0.03)
    changed = labels.copy()
    changed[folds == 2] = (changed[folds == 2] + 1) % 3
    assert (out_of_fold(vectors, changed, folds, 1.0)[folds == 2] == found[folds == 2]).all()


def test_class_that_the_other_folds_do_not_have_gets_no_probability(blobs):
    vectors, labels, _ = blobs
    labels, folds = np.append(labels, 3), np.append(np.arange(120) % 2, 0)
    found = out_of_fold(np.vstack([vectors, vectors[:1]]), labels, folds, 1.0)
    assert found[120, 3] == 0 and found[120, :3].sum() == pytest.approx(1)
    one_class = np.array([0, 0, 1, 1])
    assert out_of_fold(np.eye(4), one_class, one_class, 1.0).tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_neighbors_are_scikit_learns_without_those_of_the_own_group(blobs):
    vectors, labels, groups = blobs
    shares = neighbor_shares(vectors, labels, groups, 7)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = (
        NearestNeighbors(metric="cosine", algorithm="brute").fit(vectors).kneighbors(vectors, 9, return_distance=False)
    )
    for at in range(0, 120, 17):
        others = [other for other in nearest[at] if groups[other] != groups[at]][:7]
        weights = [unit[at] @ unit[other] + 1 for other in others]
        assert shares[at] == pytest.approx(np.bincount(labels[others], weights, 3) / sum(weights))


def test_rows_without_any_neighbor_have_no_votes():
    assert neighbor_shares(np.eye(3), np.array([0, 1, 1]), np.zeros(3, int), 5).tolist() == [[0, 0]] * 3


def test_components_keep_what_varies_and_forget_scale_and_constants():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(200, 2))
    features = (hidden @ rng.normal(size=(2, 30)) * np.logspace(-2, 3, 30)).astype(np.float32)
    features[:, 3] = 7
    components = principal_components(features, 2)
    assert components.shape == (200, 2) and components.dtype == np.float64
    standard = (features - features.mean(0)) / np.where(features.std(0) == 0, 1, features.std(0))
    left = np.linalg.svd(standard, full_matrices=False)[1][:2]
    assert np.linalg.norm(components, axis=0) == pytest.approx(left, rel=1e-3)
    assert principal_components(features[:5], 128).shape == (5, 5)
