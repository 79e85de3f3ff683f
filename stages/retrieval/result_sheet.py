"""A picture of search results: one row for each query, with the similarity or distance under each result."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import resized
from stages.retrieval.similarity import Rows, nearest

SHOWN_QUERIES, SHOWN_RESULTS = 6, 5
THUMBNAIL = 72  # pixels with the frame, so that a row of six fits a narrow column of a report
FRAME = 4
GAP = 4
TEXT = 13  # height of the line under a result
# Okabe and Ito's colors, which color-blind readers can distinguish.
QUERY, RIGHT, WRONG = (120, 120, 120), (0, 158, 115), (213, 94, 0)


@dataclass(frozen=True)
class Hit:
    """One result: its encoded picture, whether it is correct, and the text under it."""

    picture: bytes
    correct: bool
    text: str


@dataclass(frozen=True)
class ResultRow:
    """One row of the picture: encoded query, its results, best first."""

    query: bytes
    results: list[Hit]


def evenly(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` positions spread evenly over ``count``, including the first and the last."""
    if count <= wanted:
        return list(range(count))
    if wanted == 1:
        return [0]
    return [place * (count - 1) // (wanted - 1) for place in range(wanted)]


def framed(data: bytes, color: tuple[int, int, int]) -> Image.Image:
    """A thumbnail of an encoded image with a frame."""
    tile = Image.new("RGB", (THUMBNAIL, THUMBNAIL), color)
    inside = THUMBNAIL - 2 * FRAME
    tile.paste(resized(data, inside, inside), (FRAME, FRAME))
    return tile


def retrieval_sheet(rows: Sequence[ResultRow]) -> Image.Image:
    """One row for each query: the query (gray frame), then its results (green = correct, vermilion = wrong)."""
    step, line_height = THUMBNAIL + GAP, THUMBNAIL + TEXT + GAP
    columns = 1 + max(len(row.results) for row in rows)
    # A wider gap separates the query from its results.
    sheet = Image.new("RGB", (columns * step + 2 * GAP, len(rows) * line_height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT - 2)
    for line, row in enumerate(rows):
        top = GAP + line * line_height
        sheet.paste(framed(row.query, QUERY), (GAP, top))
        for place, hit in enumerate(row.results, start=1):
            left = 2 * GAP + place * step
            sheet.paste(framed(hit.picture, RIGHT if hit.correct else WRONG), (left, top))
            draw.text((left + THUMBNAIL // 2, top + THUMBNAIL), hit.text, "black", font, anchor="ma")
    return sheet


def likeness(query: np.ndarray, result: np.ndarray, metric: str) -> str:
    """The cosine of two vectors [d], or their distance (with prefix ``d``), with three decimals."""
    query, result = query.astype(np.float64), result.astype(np.float64)
    if metric == "euclidean":
        return f"d {np.linalg.norm(query - result):.3f}"
    lengths = np.linalg.norm(query) * np.linalg.norm(result)
    return f"{query @ result / lengths if lengths else 0.0:.3f}"


def images(path: Path, ids: set[str]) -> dict[str, bytes]:
    """Encoded images of a benchmark table by row id."""
    table = pq.read_table(path, columns=["row_id", "bytes"], filters=[("row_id", "in", sorted(ids))])
    return dict(zip(table["row_id"].to_pylist(), table["bytes"].to_pylist(), strict=True))


def shown_rows(queries: Rows, gallery: Rows, metric: str, folder: Path) -> list[ResultRow]:
    """A few detected queries with a match, evenly chosen by id, with their results in the whole gallery."""
    findable = pc.is_in(queries.items, value_set=gallery.items.drop_null()).to_numpy(zero_copy_only=False)
    by_id = pc.sort_indices(queries.ids).to_numpy()
    candidates = by_id[(queries.detected & findable)[by_id]]
    if not len(candidates):
        return []
    chosen = [candidates[place] for place in evenly(len(candidates), SHOWN_QUERIES)]
    results = nearest(queries, gallery, metric, chosen, SHOWN_RESULTS)
    query_id = {row: queries.ids[row].as_py() for row in results}
    gallery_id = {at: gallery.ids[at].as_py() for hits in results.values() for at, _ in hits}
    of_query = images(folder / "queries.parquet", set(query_id.values()))
    of_gallery = images(folder / "gallery.parquet", set(gallery_id.values()))
    return [
        ResultRow(
            of_query[query_id[row]],
            [
                Hit(of_gallery[gallery_id[at]], correct, likeness(queries.vectors[row], gallery.vectors[at], metric))
                for at, correct in hits
            ],
        )
        for row, hits in results.items()
    ]
