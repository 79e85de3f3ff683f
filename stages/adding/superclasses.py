"""Guess the superclass of a label from the words in it, by a table of synonyms (tables/superclass_synonyms.csv)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import StageError, shown
from stages.core.table_rows import read_rows

SYNONYMS = "superclass_synonyms.csv"
_COMPOUND = 4  # letters of a word that a longer one may end with: Winterjacke, raincoats


@dataclass(frozen=True)
class Guess:
    """The superclass of a label: "" = no garment, None = not known.

    Attributes:
        word: the words of the label that decided it.
        sure: whether these are all words of the label.
    """

    superclass: str | None
    word: str = ""
    sure: bool = False


def read_synonyms(tables: Path) -> dict[tuple[str, ...], str]:
    """Words of a synonym -> its superclass, "" for no garment.

    Raises:
        StageError: a superclass is not in superclasses.csv, or a synonym stands there twice.
    """
    known = {row["superclass"] for _, row in read_rows(tables / "superclasses.csv", ["superclass"]).rows}
    by_words: dict[tuple[str, ...], str] = {}
    for line, row in read_rows(tables / SYNONYMS, ["words", "superclass"]).rows:
        if row["superclass"] and row["superclass"] not in known:
            raise StageError(
                f"{tables / SYNONYMS}, line {line}: superclass {row['superclass']!r}; expected one of {shown(known)}, "
                "or nothing for what is no garment."
            )
        for name in row["words"].split("|"):
            if (words := tuple(words_of(name))) in by_words:
                raise StageError(f"{tables / SYNONYMS}, line {line}: {name!r} stands there twice. Keep one.")
            by_words[words] = row["superclass"]
    return by_words


def words_of(label: str) -> list[str]:
    """The words of a label in small letters: ``Tees_Tanks`` and ``T-Shirt`` are two each."""
    return re.findall(r"[^\W_]+", label.casefold())


def guess(label: str, synonyms: dict[tuple[str, ...], str]) -> Guess:
    """The superclass of the last synonym in a label; the longest, if several end at the same word.

    It is the last because English names a thing by its last word: a dress shirt is a shirt, a shirt dress is a dress.
    """
    words = words_of(label)
    for end in range(len(words), 0, -1):
        for start in range(end):
            phrase = words[start:end]
            for last in (phrase[-1], *_singulars(phrase[-1])):
                if (named := (*phrase[:-1], last)) in synonyms:
                    complete = start == 0 and end == len(words)
                    return Guess(synonyms[named], " ".join(phrase), complete)
    for word in reversed(words):
        forms = (word, *_singulars(word))
        ends = [
            single
            for (single, *more) in synonyms
            if not more and len(single) >= _COMPOUND and any(map(_ending(single), forms))
        ]
        if ends:
            longest = max(ends, key=len)
            return Guess(synonyms[longest,], longest)
    return Guess(None)


def _ending(end: str) -> Callable[[str], bool]:
    return lambda word: word.endswith(end)


def _singulars(word: str) -> list[str]:
    """Singulars that a word may be the plural of: by English, French and Spanish s and es, German n and en."""
    return [word[: -len(end)] for end in ("s", "es", "n", "en") if word.endswith(end) and len(word) > len(end) + 2]
