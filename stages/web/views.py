"""What the templates show: rows of the wardrobe as text for people, and the page's own files."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.app.items import Attribute, Item, Match, QueryGarment
from stages.app.search import Filters
from stages.core.names import plain
from stages.crops.matching import NO_DETECTOR

TEMPLATES = Path(__file__).parent / "templates"
FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
FIRST_HEADS = ("type", "color")  # shown first; the filters of the others are behind "More"
EVERY_CLASS, SAME_CLASS = "*", ""
WHOLE = "whole photo"


def readable(name: str) -> str:
    """A name of the params as people write it, without underscores."""
    return name.replace("_", " ")


def class_name(superclass: str) -> str:
    """A superclass as people write it; "whole photo" if nothing was detected."""
    return WHOLE if superclass == NO_DETECTOR else readable(superclass)


def percent(share: float | None) -> str:
    """``93 %``; empty for None. Only 0 and 1 themselves are shown as 0 % and 100 %."""
    if share is None:
        return ""
    return f"{min(99, max(1, round(share * 100)))} %" if 0 < share < 1 else f"{share:.0%}".replace("%", " %")


def in_order(heads: Iterable[str]) -> list[str]:
    """Heads as the page lists them: type and color first, then by name."""
    return sorted(heads, key=lambda head: (FIRST_HEADS.index(head) if head in FIRST_HEADS else 9, head))


@dataclass(frozen=True)
class AttributeRow:
    """One attribute: its head, its class, its calibrated confidence in percent, and whether that is sure enough."""

    head: str
    name: str
    share: int
    sure: bool


def attribute_rows(attributes: Mapping[str, Attribute]) -> list[AttributeRow]:
    """Attributes in the page's order."""
    return [
        AttributeRow(readable(head), own.name, round(own.confidence * 100), own.sure)
        for head in in_order(attributes)
        for own in [attributes[head]]
    ]


def title_of(attributes: Mapping[str, Attribute], superclass: str) -> str:
    """The title of a garment: its color if that is sure, then its type, or else its superclass."""
    sure = {head: own.name for head, own in attributes.items() if own.sure}
    return " ".join([*([sure["color"]] if "color" in sure else []), sure.get("type", class_name(superclass))])


def card(item: Item) -> dict[str, Any]:
    """A garment of the wardrobe as a card shows it."""
    return {
        "id": item.id, "title": title_of(item.attributes, item.superclass), "class": class_name(item.superclass),
        "file": plain(item.photo.name), "copies": len(item.paths) - 1,
    }  # fmt: skip


def matched(match: Match) -> dict[str, Any]:
    """A match as a card shows it."""
    return card(match.item) | {
        "similarity": f"{match.similarity:.2f}", "why": readable(match.why), "recall": percent(match.recall),
    }  # fmt: skip


def garment(number: int, query: QueryGarment) -> dict[str, Any]:
    """A garment of the query photo, as its button and its box show it."""
    return {
        "number": number, "class": class_name(query.superclass), "superclass": query.superclass,
        "box": query.box, "share": percent(query.confidence),
        "note": "" if query.confidence is not None else "no garment detected" if query.box is None else "corrected",
    }  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """An option of a filter: its value, its text, and how many garments it leaves."""

    value: str
    text: str
    count: int | None = None


def choices(facets: Mapping[str, Mapping[str, int]]) -> list[tuple[str, list[Choice]]]:
    """Filters by attribute: each head with its classes, most frequent first; ``class_choices`` has the superclasses."""
    return [
        (head, [Choice(name, name, count) for name, count in sorted(facets[head].items(), key=by_count) if count])
        for head in in_order(set(facets) - {"superclass"})
    ]


def by_count(entry: tuple[str, int]) -> tuple[int, str]:
    """Sort key: the most frequent name first, then by name."""
    return -entry[1], entry[0]


def class_choices(facets: Mapping[str, Mapping[str, int]]) -> list[Choice]:
    """Filter by superclass: those that the wardrobe has."""
    return [Choice(name, class_name(name), count) for name, count in sorted(facets["superclass"].items(), key=by_count)]


def filters(superclass: str, attributes: Mapping[str, str]) -> Filters:
    """The filters that a visitor selected; an empty selection excludes nothing."""
    named = frozenset() if superclass in (EVERY_CLASS, SAME_CLASS) else frozenset({superclass})
    return Filters(named, {head: frozenset({name}) for head, name in attributes.items() if name})


def shown(value: Any) -> Any:
    """Text that can be encoded as UTF-8: names of files may contain other bytes."""
    return plain(value) if type(value) is str else value


def own_files() -> dict[str, bytes]:
    """Name -> content of the style and the script."""
    return {name: (TEMPLATES / name).read_bytes() for name in FILES}


def environment() -> Environment:
    """The templates, with every value escaped."""
    result = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=shown,
    )  # fmt: skip
    # A changed file gets another address, so that a browser never mixes two versions.
    result.globals["version"] = hashlib.sha256(b"".join(own_files().values())).hexdigest()[:12]
    result.filters["readable"] = readable
    return result
