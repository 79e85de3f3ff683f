"""Section ``app`` of params.yaml: what people see of the models. No stage reads it."""

from stages.core.params import Section, Share


class AppParams(Section):
    """Section ``app``.

    Attributes:
        unsure_below: an attribute whose calibrated confidence is smaller is shown as "not sure".
    """

    unsure_below: Share
