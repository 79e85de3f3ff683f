"""Section ``labels`` of params.yaml."""

from typing import Literal

from stages.core.errors import StageError, shown
from stages.core.params import Section

PolicyName = Literal["fashion_products", "deepfashion_mm", "catalogue"]
GenderPolicy = Literal["drop_row", "unknown"]


class CatalogueParams(Section):
    """A catalogue's label table: a CSV in the tables folder with a column ``superclass``, and its column of labels."""

    table: str
    label_column: str


class LabelParams(Section):
    """Section ``labels``; profiles/base.yaml explains each key."""

    policies: dict[str, PolicyName]
    gender_policy: GenderPolicy
    group_superclass: dict[str, str]
    catalogues: dict[str, CatalogueParams]

    def policy_of(self, source: str) -> PolicyName:
        """The policy that reads ``source``.

        Raises:
            StageError: when the params name none.
        """
        if source not in self.policies:
            raise StageError(
                f"params.yaml: `labels.policies` has no policy for source {source!r}; it has: {shown(self.policies)}. "
                f"Add `{source}: catalogue` (or fashion_products, deepfashion_mm), or take it off `label_sources`."
            )
        return self.policies[source]

    def catalogue_of(self, source: str) -> CatalogueParams:
        """The label table of a catalogue source.

        Raises:
            StageError: when the params name none.
        """
        if source not in self.catalogues:
            raise StageError(
                f"params.yaml: `labels.catalogues` has no label table for source {source!r}; "
                f"it has: {shown(self.catalogues)}. Add `{source}: {{table: NAME.csv, label_column: label}}`."
            )
        return self.catalogues[source]
