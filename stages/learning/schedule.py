"""Learning rates as shares of the peak, for torch's LambdaLR.

Its own classes would round otherwise: CosineAnnealingLR and MultiStepLR make each rate from the one before.
"""

import math
from collections.abc import Callable, Sequence


def cosine(steps: int, rise: float = 0) -> Callable[[int], float]:
    """Half a cosine from 1 to 0 over ``steps`` (Loshchilov & Hutter 2017), times a linear rise over ``rise`` steps."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / max(rise, 1)) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))

    return share


def drops(at: Sequence[int], factor: float) -> Callable[[int], float]:
    """1, and ``factor`` times as much from each of the epochs ``at`` on."""

    def share(epoch: int) -> float:
        return factor ** sum(epoch >= one for one in at)

    return share
