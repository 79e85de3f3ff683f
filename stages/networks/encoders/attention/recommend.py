"""Recommendations by regions: each attended region of the query searches the gallery on its own."""

import numpy as np


def region_distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Euclidean distances [K, m] from each of a query's regions to the nearest region of each gallery picture.

    Args:
        query: [K, d].
        gallery: [m, K', d].
    """
    products = np.einsum("kd,mjd->kmj", query.astype(np.float64), gallery.astype(np.float64))
    squares = (query**2).sum(1)[:, None, None] + (gallery**2).sum(2)[None] - 2 * products
    return np.sqrt(np.maximum(squares, 0)).min(2)


def diverse_list(distances: np.ndarray, ids: list[str], count: int) -> list[tuple[str, int]]:
    """Recommendations in which the regions take turns: the nearest new picture to region 1, then to region 2, ...

    Args:
        distances: [K, m], of each region of the query to each gallery picture.
        ids: of the gallery pictures [m]; they decide between equals.
        count: how many, at most m.

    Returns:
        (id, number of the region that found it), in order.
    """
    order = np.argsort(ids, kind="stable")
    queues = [[order[at] for at in np.argsort(row[order], kind="stable")] for row in distances]
    taken: set[int] = set()
    results: list[tuple[str, int]] = []
    while len(results) < min(count, len(ids)):
        region = len(results) % len(queues)
        row = next(at for at in queues[region] if at not in taken)
        taken.add(row)
        results.append((ids[row], region))
    return results
