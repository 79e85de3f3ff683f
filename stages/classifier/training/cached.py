"""Features of a frozen backbone, computed once: heads on top of it then train in seconds instead of minutes."""

from collections.abc import Callable

import torch

from stages.learning.distributed import ALONE, Group
from stages.networks.backbones.backbones import Backbone, SideBySide
from stages.networks.backbones.features import in_passes
from stages.networks.backbones.pictures import Pictures
from stages.runner.progress import track


@torch.no_grad()
def cached_features(
    backbone: Backbone | SideBySide,
    pictures: Pictures,
    batch: int,
    views: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    group: Group = ALONE,
) -> torch.Tensor:
    """float32 [views, n, width] of all pictures, in evaluation mode, on the CPU; the backbone's mode is put back.

    The features stand for the pictures from now on, which forget what was decoded of them.

    Args:
        views: how many; they differ only by ``augment``.
        augment: uint8 or float images [n, 3, side, side] to the same shape; None: the pictures as they are.
        group: processes that share the work and all get its result.
    """
    was_training = backbone.training
    backbone.eval()
    where = next(backbone.parameters()).device
    features = torch.zeros(views, len(pictures), backbone.width)
    starts = [(view, start) for view in range(views) for start in range(0, len(pictures), batch)]
    own = starts[group.rank :: group.size]
    for view, start in track(own, total=len(own), desc="features of the frozen backbone") if group.leader else own:
        images = pictures.batch(range(start, min(start + batch, len(pictures))))
        images = augment(images) if augment else images
        features[view, start : start + len(images)] = in_passes(backbone, images.to(where)).float().cpu()
    pictures.forget()
    backbone.train(was_training)
    for one in features if group.size > 1 else ():  # one view at a time: all of them together are large
        one.copy_(group.total(one))
    return features
