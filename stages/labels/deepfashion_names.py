"""File names of DeepFashion-MultiModal, which say who wears what: ``{gender}-{type}-id_{8 digits}-{n1}_{n2}_{pos}``.

``WOMEN-Blouses_Shirts-id_00000001-02_1_front``: person 00000001 wears a blouse in outfit 02, photo 1, seen from the
front. The same photo is there once for each type that it shows, so gender, id, n1 and n2 together name the photo.
"""

import re

import pandas as pd

from stages.labels.merging import text_column

GENDERS = {"MEN": "Men", "WOMEN": "Women"}  # as written in file names -> as the gender head calls them
POSITIONS = ("front", "side", "back", "full", "additional", "flat")
NAME = re.compile(
    rf"(?P<gender>{'|'.join(GENDERS)})-(?P<type>[A-Za-z]+(?:_[A-Za-z]+)*)-id_(?P<id>[0-9]{{8}})"
    rf"-(?P<n1>[0-9]+)_(?P<n2>[0-9]+)_(?P<pos>{'|'.join(POSITIONS)})"
)
PARTS = tuple(NAME.groupindex)
EXPECTED = "GENDER-Type-id_00000001-02_1_front"


def parse_name(stem: str) -> dict[str, str] | None:
    """The parts of a file name without extension: gender, type, id, n1, n2, pos; None when it is no such name."""
    match = NAME.fullmatch(stem)
    return match.groupdict() if match else None


def parse_names(stems: pd.Series) -> pd.DataFrame:
    """One row for each name, with its parts and the keys made of them; all null where a name cannot be parsed.

    Columns: the parts, then ``person`` (gender and id), ``instance`` (the physical item: person and type) and
    ``photo`` (person, n1 and n2).
    """
    parsed = [parse_name(stem) or dict.fromkeys(PARTS) for stem in stems]
    parts = pd.DataFrame({part: text_column([row[part] for row in parsed], stems.index) for part in PARTS})
    person = parts["gender"] + "-id_" + parts["id"]
    return parts.assign(
        person=person,
        instance=parts["gender"] + "-" + parts["type"] + "-id_" + parts["id"],
        photo=person + "-" + parts["n1"] + "_" + parts["n2"],
    )
