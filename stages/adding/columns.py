"""Guess which columns of a table hold the image, the label, the group (which must not cross splits) and the split."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stages.adding.superclasses import guess, words_of
from stages.core.errors import shown
from stages.core.table_rows import TextTable
from stages.ingest.readers.folders import split_word

LABEL_WORDS = ("label", "labels", "category", "categories", "class", "type", "articletype", "garment", "kind", "tag",
               "etikett", "kategorie", "art", "produktart", "categorie", "catégorie", "categoria", "categoría",
               "etiqueta", "tipo")  # fmt: skip
GROUP_WORDS = ("sender", "seller", "shop", "store", "user", "customer", "person", "model", "owner", "photographer",
               "session", "group", "product", "item", "article", "sku", "style", "outfit", "brand", "produkt",
               "artikel", "kunde", "gruppe", "produit", "vendeur", "cliente", "producto", "parent",
               "handle", "artikelnr", "artikelnummer")  # fmt: skip
IMAGE_WORDS = ("image", "img", "file", "filename", "photo", "picture", "path", "name", "bild", "datei", "foto")
SPLIT_NAMES = ("split", "subset", "partition", "fold", "set")
CALLED_LABEL = ("label", "labels", "class", "category")  # a column of exactly this name is meant as the label
SAMPLE = 2000  # rows that a guess reads
LEAST_MATCHED = 0.5  # share of a column's values that must name a file
LONGEST = 40  # mean length of labels in letters
MOST_LABELS = 200
# Names of columns that ingest or the label table add.
TAKEN = ("item_id", "image_id", "group", "superclass", "count", "note")


@dataclass(frozen=True)
class Columns:
    """The columns that are used, and the other candidates.

    Attributes:
        refused: column that is not used -> the reason in words.
    """

    image: str
    label: str
    group: str | None
    split: str | None = None
    other_labels: list[str] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def _named(column: str, words: Sequence[str]) -> bool:
    split_words = words_of(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column))
    return bool(set(split_words) & set(words)) or "".join(split_words) in words


def image_columns(table: TextTable, finds: Callable[[str], bool]) -> dict[str, float]:
    """Column -> share of its values that name a file, the largest first."""
    rows = [row for _, row in table.rows[:SAMPLE]]
    shares = {}
    for column in table.columns:
        values = [row[column] for row in rows if row[column]]
        share = sum(map(finds, values)) / len(rows)
        if share >= LEAST_MATCHED:
            shares[column] = share
    return dict(sorted(shares.items(), key=lambda entry: (-entry[1], not _named(entry[0], IMAGE_WORDS))))


def label_columns(table: TextTable, taken: Sequence[str], synonyms: dict[tuple[str, ...], str]) -> list[str]:
    """Columns that may be the label, the likeliest first.

    A label has few distinct, short values. Among such columns, those whose values name garments (by the synonyms) come
    first, then those whose name suggests a label, then those with more distinct values. Numbers are labels only if the
    column's name suggests it.
    """
    rows = [row for _, row in table.rows[:SAMPLE]]
    scores: dict[str, tuple[float, int]] = {}
    for column in table.columns:
        counts = Counter(row[column] for row in rows if row[column])
        filled = sum(counts.values())
        if column in (*taken, *TAKEN) or _no_label(counts, len(rows)):
            continue
        garments = sum(count for value, count in counts.items() if guess(value, synonyms).superclass) / filled
        numeric = sum(count for value, count in counts.items() if value.replace(".", "").isdigit()) / filled > 0.9
        doubt = 0.5 if column.casefold() in CALLED_LABEL else 1.0
        score = 2 * round(garments, 1) + _named(column, LABEL_WORDS) - doubt * numeric
        if score > 0:
            scores[column] = score, len(counts)
    return sorted(scores, key=lambda column: scores[column], reverse=True)


def _no_label(counts: Counter, rows: int) -> str:
    """Why these values cannot be labels, in words; empty if they can."""
    if not counts:
        return "it is empty in every row"
    if len(counts) == 1:
        return f"it is {next(iter(counts))!r} in every row that has one"
    if len(counts) > min(MOST_LABELS, max(2, rows // 2)):
        return f"it has {len(counts)} different values in {rows} rows, and a label is shared by several photos"
    if sum(len(value) * count for value, count in counts.items()) / sum(counts.values()) > LONGEST:
        return f"its values are longer than {LONGEST} letters"
    return ""


def refused_labels(table: TextTable, taken: Sequence[str]) -> dict[str, str]:
    """Column that is called ``label`` or similar but holds no labels -> the reason in words."""
    rows = [row for _, row in table.rows[:SAMPLE]]
    called = [column for column in table.columns if column.casefold() in CALLED_LABEL and column not in taken]
    reasons = {column: _no_label(Counter(row[column] for row in rows if row[column]), len(rows)) for column in called}
    return {column: reason for column, reason in reasons.items() if reason}


def split_column(table: TextTable, taken: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The column of splits; and column whose name suggests splits, but that holds others -> the reason in words.

    The column of splits is recognized by its values, not its name: all are splits, and train is among them.
    """
    refused = {}
    for column in table.columns:
        values = {row[column] for _, row in table.rows if row[column]} if column not in taken else set()
        splits = {split_word(value) for value in values} if 0 < len(values) <= MOST_LABELS else {None}
        if None not in splits and "train" in splits and len(splits) > 1:
            return column, {}
        if values and _named(column, SPLIT_NAMES):
            refused[column] = f"it has {shown(values, 4)}, expected train, val and test"
    return None, refused


def group_columns(table: TextTable, taken: Sequence[str]) -> list[str]:
    """Columns that may be the group, the likeliest first: by their name; several rows must share values."""
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
