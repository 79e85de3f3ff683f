"""Section ``nms`` of params.yaml: which boxes of a detector are kept, wherever one runs."""

from pydantic import Field

from stages.core.params import Section


class NmsParams(Section):
    """Non-maximum suppression: of two boxes that overlap too much the less confident one goes.

    Attributes:
        iou: intersection over union above which it goes.
        per_class: true: only if both are of one class; false: whatever their classes.
    """

    iou: float = Field(gt=0, lt=1)
    per_class: bool
