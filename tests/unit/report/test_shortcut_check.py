"""No head can be solved by a trivial feature that it is not about, and an item looks the same worn and flat."""

import numpy as np
import pytest

from stages.report import shortcut_check


@pytest.fixture(scope="module")
def found() -> list[shortcut_check.Score]:
    return shortcut_check.scores(300)


@pytest.mark.slow
def test_no_head_is_solved_by_a_feature_that_it_is_not_about(found: list[shortcut_check.Score]) -> None:
    print(shortcut_check.as_markdown(found))
    for row in found:
        if not row.may_solve:
            assert row.balanced < row.bound, shortcut_check.as_markdown([row])


@pytest.mark.slow
def test_the_features_do_see_what_they_are_about(found: list[shortcut_check.Score]) -> None:
    """Else the test above would pass because the classifiers are no good."""
    balanced = {(row.feature, row.head): row.balanced for row in found}
    assert balanced["mean color", "color"] > 0.45
    assert balanced["silhouette", "type"] > 0.45
    assert balanced["silhouette", "gender"] > 0.75


def test_chance_and_bound_of_a_head_with_four_classes() -> None:
    row = shortcut_check.Score("silhouette", "usage", 4, 0.4, 0.3, 0.6)
    assert (row.chance, row.bound, row.may_solve) == (0.25, 0.625, False)
    assert "| silhouette | usage | 4 | 0.25 | 0.40 | 0.30 | 0.60 | 0.62 | not solved |" in shortcut_check.as_markdown(
        [row]
    )


def test_an_item_worn_is_nearer_to_itself_flat_than_to_another_item_flat() -> None:
    views = shortcut_check.draw_views("fashion_products", 150)
    worn = {view.garment: view.histogram for view in views if view.worn}
    flat = {view.garment: view.histogram for view in views if not view.worn}
    pairs = sorted(set(worn) & set(flat))
    nearer = []
    for place, garment in enumerate(pairs):
        other = pairs[(place + 1) % len(pairs)]  # neighbors are drawn independently: as random as any
        own, foreign = (np.abs(worn[garment] - flat[index]).sum() for index in (garment, other))
        nearer.append(own < foreign)
    assert np.mean(nearer) >= 0.9
