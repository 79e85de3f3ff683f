"""The group of each type: what a garment is, before it matters which one.

The 32 types of the merge tables belong to the five groups of ``types.csv`` (Topwear, Bottomwear, Dress, Footwear,
Headwear). The labels of a catalogue belong to the superclasses of its own label table. Where a data set has both, the
superclasses become the groups that ``superclasses.csv`` names for them, so that there is one set of names.
"""

from pathlib import Path

from stages.core.errors import StageError, shown
from stages.labels.catalogue import read_label_table
from stages.labels.merge_tables import LabelTables, read_label_tables
from stages.labels.params import LabelParams


def type_groups(types: list[str], sources: list[str], params: LabelParams, folder: Path) -> dict[str, str]:
    """The group of each of ``types``.

    Args:
        types: classes of the head ``type``.
        sources: label sources whose rows have these types.
        params: which policy labelled which source.
        folder: the merge tables.

    Raises:
        StageError: when no table of these sources knows a type, or two tables put it into different groups.
    """
    tables = read_label_tables(folder)
    catalogues = [source for source in sources if params.policy_of(source) == "catalogue"]
    found = [_of_catalogue(tables, params, source, len(catalogues) < len(sources)) for source in sorted(catalogues)]
    if len(catalogues) < len(sources):
        found.append(dict(zip(tables.types["type"], tables.types["group"], strict=True)))
    result: dict[str, str] = {}
    for name in types:
        groups = {one[name] for one in found if name in one}
        if len(groups) != 1:
            raise StageError(
                f"{folder}: type {name!r} has {len(groups)} groups ({shown(groups)}), expected one. Give it one line "
                f"in types.csv or in a catalogue's label table; its sources are {shown(sources)}."
            )
        result[name] = groups.pop()
    return result


def _of_catalogue(tables: LabelTables, params: LabelParams, source: str, as_groups: bool) -> dict[str, str]:
    """Label -> superclass of one catalogue, or its superclass's group."""
    labels = read_label_table(tables, params.catalogue_of(source))
    group_of = dict(zip(tables.superclasses["superclass"], tables.superclasses["fashion_products_group"], strict=True))
    return {name: group_of[one] if as_groups else one for name, one in labels.items() if one}
