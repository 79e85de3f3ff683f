"""Learning-rate schedules."""

import math


def cosine_rate(step: int, steps: int, peak: float) -> float:
    """Learning rate at ``step`` of ``steps``: half a cosine from ``peak`` to 0 (Loshchilov & Hutter 2017)."""
    return peak * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))
