"""Which column of a table names the image, which the label, and which who or what must not cross splits."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stages.adding.superclasses import guess, words_of
from stages.core.table_rows import Rows

LABEL_WORDS = ("label", "labels", "category", "categories", "class", "type", "articletype", "garment", "kind", "tag",
               "etikett", "kategorie", "art", "produktart", "categorie", "catégorie", "categoria", "categoría",
               "etiqueta", "tipo")  # fmt: skip
GROUP_WORDS = ("sender", "seller", "shop", "store", "user", "customer", "person", "model", "owner", "photographer",
               "session", "group", "product", "item", "article", "sku", "style", "outfit", "brand", "produkt",
               "artikel", "kunde", "gruppe", "produit", "vendeur", "cliente", "producto", "parent",
               "handle", "artikelnr", "artikelnummer")  # fmt: skip
IMAGE_WORDS = ("image", "img", "file", "filename", "photo", "picture", "path", "name", "bild", "datei", "foto")
SAMPLE = 2000  # rows that a guess looks at
LEAST_FOUND = 0.5  # share of values that must find a file
LONGEST = 40  # letters of a label, on average
MOST_LABELS = 200
# Names that ingest or the label table give to columns of their own.
TAKEN = ("item_id", "image_id", "group", "superclass", "count", "note")


@dataclass(frozen=True)
class Columns:
    """The guessed columns, and what else could have been meant."""

    image: str
    label: str
    group: str | None
    other_labels: list[str]
    other_groups: list[str]


def _named(column: str, words: Sequence[str]) -> bool:
    parts = words_of(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column))
    return bool(set(parts) & set(words)) or "".join(parts) in words


def image_columns(table: Rows, finds: Callable[[str], bool]) -> dict[str, float]:
    """Columns whose values find files, the best first -> the share of values that do."""
    rows = [row for _, row in table.rows[:SAMPLE]]
    shares = {}
    for column in table.columns:
        values = [row[column] for row in rows if row[column]]
        found = sum(map(finds, values)) / len(rows)
        if found >= LEAST_FOUND:
            shares[column] = found
    return dict(sorted(shares.items(), key=lambda entry: (-entry[1], not _named(entry[0], IMAGE_WORDS))))


def label_columns(table: Rows, taken: str, synonyms: dict[tuple[str, ...], str]) -> list[str]:
    """Columns that may be the label, the likeliest first.

    A label has few distinct, short values. What tells it among those are garments that the synonyms know, then the
    column's name; of two the one that says more, by its number of values.
    """
    rows = [row for _, row in table.rows[:SAMPLE]]
    scores: dict[str, tuple[float, int]] = {}
    for column in table.columns:
        counts = Counter(row[column] for row in rows if row[column])
        filled = sum(counts.values())
        if column in (taken, *TAKEN) or not counts or len(counts) > min(MOST_LABELS, max(2, len(rows) // 2)):
            continue
        if sum(len(value) * count for value, count in counts.items()) / filled > LONGEST:
            continue
        garments = sum(count for value, count in counts.items() if guess(value, synonyms).superclass) / filled
        numeric = sum(count for value, count in counts.items() if value.replace(".", "").isdigit()) / filled > 0.9
        score = 2 * round(garments, 1) + _named(column, LABEL_WORDS) - numeric
        if score > 0 and len(counts) > 1:
            scores[column] = score, len(counts)
    return sorted(scores, key=lambda column: scores[column], reverse=True)


def group_columns(table: Rows, taken: Sequence[str]) -> list[str]:
    """Columns that may be the group, the likeliest first: by name, with values that several rows share."""
    scores = {}
    for column in table.columns:
        if column in taken:
            continue
        counts = Counter(row[column] for _, row in table.rows if row[column])
        filled = sum(counts.values())
        many = len(counts) >= 10 and len(counts) < filled
        if not many or filled < len(table.rows) / 2:
            continue
        score = 2 * _named(column, GROUP_WORDS) + (words_of(column)[-1:] in (["id"], ["nr"], ["no"], ["code"], ["sku"]))
        if score:
            scores[column] = score, -len(counts)
    return sorted(scores, key=lambda column: scores[column], reverse=True)
