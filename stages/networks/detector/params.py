"""Section ``nms`` of params.yaml: non-maximum suppression, the same wherever a detector runs."""

from pydantic import Field

from stages.core.params import Section


class NmsParams(Section):
    """Non-maximum suppression: if two boxes overlap too much, the less confident one is removed.

    Attributes:
        iou: intersection over union above which two boxes overlap too much.
        per_class: true: only boxes of the same class are compared; false: all boxes.
    """

    iou: float = Field(gt=0, lt=1)
    per_class: bool
