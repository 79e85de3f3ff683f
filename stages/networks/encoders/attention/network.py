"""The network of system B: a global branch of convolutions and a recurrent branch that glimpses at K regions.

The publication names the components (spatial transformer, texture encoding, recurrence, diversity loss on attention
maps) and gives the global branch in full. How they are connected is our interpretation of its sources
(Wang et al., ICCV 2017; Zhao et al., TMM 2017; Verma et al., ICIP 2018):

    f = global branch                                     h_0 = LSTM(texture(f))
    for each glimpse k: M_k = size and center of a region, from h                   (those of the localization loss)
                        l_k = softmax over places of the saliency of f given h, within a soft window around M_k
                                                                                    (the map of the diversity loss)
                        h   = LSTM(texture(region M_k of f, places weighed by l_k))
                        scores_k = linear(h)
    scores = maximum over k, class by class
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from stages.core.errors import StageError
from stages.core.params import Section
from stages.networks.backbones.backbones import Weights, create, register_statistics


class TextureEncoding(nn.Module):
    """Residuals to learned codewords, softly assigned and summed over places: no order, so it sees texture.

    With x_i the N descriptors, c_k the codewords, s_k > 0 their smoothing factors:

        r_ik = x_i - c_k
        a_ik = exp(-s_k |r_ik|^2) / sum_j exp(-s_j |r_ij|^2)      (equation 2)
        e_k  = sum_i w_i a_ik r_ik                                (equation 3, in which w_i = 1)

    Attributes:
        codewords: [K, D].
        log_smoothing: [K]; its exponential is s, so that s stays positive.
    """

    def __init__(self, codewords: int, width: int) -> None:
        """Build K codewords for descriptors of D = ``width`` numbers."""
        super().__init__()
        limit = (codewords * width) ** -0.5  # as in the authors' code
        self.codewords = nn.Parameter(torch.empty(codewords, width).uniform_(-limit, limit))
        self.log_smoothing = nn.Parameter(torch.zeros(codewords))

    def forward(self, maps: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Encodings [n, K, D] of maps [n, D, h, w]; ``weights`` w of the places [n, h, w], all 1 when None."""
        descriptors = maps.flatten(2).transpose(1, 2)
        residuals = descriptors[:, :, None, :] - self.codewords  # [n, N, K, D]
        assigned = F.softmax(-self.log_smoothing.exp() * residuals.square().sum(3), dim=2)
        if weights is not None:
            assigned = assigned * weights.flatten(1)[..., None]
        return (assigned[..., None] * residuals).sum(1)


STRIDE = 16  # pixels of the picture for a place of the global branch's maps, as published


class AttentionNetworkParams(Section):
    """Shape of the network.

    Attributes:
        branch: the global branch: null = the published convolutions, else the stages of one of timm's networks that
            make maps of the same size, as untrained convolutions need more pictures than the demo has.
        weights: source of that network's weights; none with null.
        freeze_branch: the global branch keeps its first weights and statistics and has no dropout; only the layers
            after it learn.
        widths: channels of the published branch's three pairs of convolutions.
        dropout: after the first two pairs.
        texture_width: channels of the texture encoding (D).
        codewords: K of the texture encoding; K x D is the length of a region's vector.
        hidden: width of the LSTM.
        region: side of the grid on which a region is sampled.
        anchors: for each glimpse the center (x, y) in [-1, 1] at which it starts and which the loss pulls it to.
        start_size: first size of regions, as a share of the picture.
    """

    branch: str | None
    weights: Weights
    freeze_branch: bool
    widths: tuple[int, int, int]
    dropout: float = Field(ge=0, lt=1)
    texture_width: int = Field(gt=0)
    codewords: int = Field(gt=0)
    hidden: int = Field(gt=0)
    region: int = Field(gt=1)
    anchors: list[tuple[float, float]] = Field(min_length=1)
    start_size: float = Field(gt=0, le=1)


@dataclass
class Glimpses:
    """Output of the network for n pictures with K glimpses each.

    Attributes:
        scores: [n, classes], the maximum over glimpses.
        maps: attention [n, K, h, w]; each sums to 1.
        size, center: of the regions, [n, K, 2] as (x, y); share of the picture, and place in [-1, 1].
        regions: the texture of each region [n, K, codewords * texture_width]. The LSTM's state is not used: it also
            encodes earlier regions, and it separates labels, not garments.
        whole: [n, width of the branch], pooled features of the whole picture.
    """

    scores: torch.Tensor
    maps: torch.Tensor
    size: torch.Tensor
    center: torch.Tensor
    regions: torch.Tensor
    whole: torch.Tensor


class PublishedBranch(nn.Module):
    """Published table: two 3 x 3 convolutions a block; dropout, 4 x 4 max pooling and batch norm after the first two.

    384 x 256 pixels become 24 x 16 places. ReLU after each convolution is ours: the table names none.

    Attributes:
        width: channels of the maps.
    """

    def __init__(self, widths: tuple[int, int, int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for number, width in enumerate(widths):
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            if number < 2:
                layers += [nn.Dropout(dropout), nn.MaxPool2d(4), nn.BatchNorm2d(width)]
        self.layers = nn.Sequential(*layers)
        self.width = widths[2]
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps [n, width, h / 16, w / 16] of images [n, 3, h, w], floats in 0..255."""
        return self.layers((images - self.mean) / self.std)


class StagesBranch(nn.Module):
    """The stages of one of timm's networks up to maps of a sixteenth of the picture's side.

    Attributes:
        width: channels of the maps.
    """

    def __init__(self, name: str, weights: Weights) -> None:
        """Build it without what comes after those stages.

        Raises:
            StageError: when no stage has maps of that size, or the network cannot be built.
        """
        super().__init__()
        self.network = create(name, weights)
        stages = [at for at, stage in enumerate(self.network.feature_info) if stage["reduction"] == STRIDE]
        if not stages:
            raise StageError(
                f"params.yaml: {name} has no stage whose maps are 1/{STRIDE} of the picture's side; name a "
                "convolutional network such as tf_efficientnet_lite0 or resnet50, or null for the published branch."
            )
        self.stage = stages[-1]
        self.width: int = self.network.feature_info[self.stage]["num_chs"]
        register_statistics(self, self.network)
        self.network.prune_intermediate_layers([self.stage], prune_norm=True, prune_head=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps [n, width, h / 16, w / 16] of images [n, 3, h, w], floats in 0..255."""
        normed = (images - self.mean) / self.std
        return self.network.forward_intermediates(normed, indices=[self.stage], intermediates_only=True)[0]


def sample_regions(maps: torch.Tensor, size: torch.Tensor, center: torch.Tensor, side: int) -> torch.Tensor:
    """A spatial transformer that scales and shifts (Jaderberg et al. 2015): [n, c, side, side] of maps [n, c, h, w].

    Args:
        size, center: [n, 2] as (x, y).
    """
    zero = torch.zeros_like(size[:, 0])
    rows = [torch.stack([size[:, 0], zero, center[:, 0]], 1), torch.stack([zero, size[:, 1], center[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [len(maps), maps.shape[1], side, side], align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False)


LEAST_WINDOW = 0.1  # size of a region below which its window shrinks no further


def soft_window(size: torch.Tensor, center: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Logarithm of a Gaussian around each region, [n, 1, height, width]: 0 at its center, -1/2 a size away on one axis.

    Added to the saliency, it ties a map to its region. Without it the maps of all glimpses differ by a few percent,
    because the state adds the same number to all places, which the softmax over places ignores.

    Args:
        size, center: [n, 2] as (x, y); a mirrored region has the window of the plain one.
    """
    spread = size.abs().clamp(min=LEAST_WINDOW)
    squares = []
    for axis, count in ((0, width), (1, height)):
        places = (torch.arange(count, device=size.device) + 0.5) / count * 2 - 1
        squares.append(((places - center[:, axis : axis + 1]) / spread[:, axis : axis + 1]).square())
    return -(squares[0][:, None, None, :] + squares[1][:, None, :, None]) / 2


class AttentionNetwork(nn.Module):
    """See the module's docstring."""

    def __init__(self, params: AttentionNetworkParams, classes: int) -> None:
        super().__init__()
        texture, hidden = params.texture_width, params.hidden
        self.params = params
        if params.branch is None:
            self.branch = PublishedBranch(params.widths, params.dropout)
        else:
            self.branch = StagesBranch(params.branch, params.weights)
        self.branch.requires_grad_(not params.freeze_branch)
        width = self.branch.width
        self.reduce = nn.Sequential(nn.Conv2d(width, texture, 1), nn.BatchNorm2d(texture), nn.ReLU())
        self.texture = TextureEncoding(params.codewords, texture)
        self.cell = nn.LSTMCell(params.codewords * texture, hidden)
        # Normalized, because large outputs of the branch would saturate the tanh, which then ignores the state.
        self.of_place = nn.Sequential(nn.Conv2d(width, hidden, 1), nn.BatchNorm2d(hidden))
        self.of_state = nn.Linear(hidden, hidden)
        self.saliency = nn.Conv2d(hidden, 1, 1)
        self.locate = nn.Linear(hidden, 4)
        self.classify = nn.Linear(hidden, classes)
        self.register_buffer("anchors", torch.tensor(params.anchors, dtype=torch.float32))
        nn.init.zeros_(self.locate.weight)  # every glimpse starts at its anchor
        nn.init.zeros_(self.locate.bias)

    @property
    def trunk(self) -> nn.Module:
        """The global branch."""
        return self.branch

    def train(self, mode: bool = True) -> Self:
        """As in torch, but a frozen branch stays in evaluation mode, so that its statistics are frozen as well."""
        super().train(mode)
        if self.params.freeze_branch:
            self.branch.eval()
        return self

    def glimpses_in(self, images: torch.Tensor) -> Glimpses:
        """All glimpses of images [n, 3, h, w], uint8 or floats in 0..255."""
        return self.glimpses(self.branch(images.float()))

    def glimpses(self, maps: torch.Tensor) -> Glimpses:
        """All glimpses of pictures, given the branch's maps [n, width of the branch, h, w]."""
        places, reduced = self.of_place(maps), self.reduce(maps)
        state = self.cell(self._encoded(reduced))
        scores, attention, sizes, centers, regions = [], [], [], [], []
        for anchor in self.anchors:
            moves = self.locate(state[0])
            size, center = self.params.start_size + moves[:, :2], anchor + moves[:, 2:]
            saliency = self.saliency(torch.tanh(places + self.of_state(state[0])[:, :, None, None]))
            saliency = saliency + soft_window(size, center, *maps.shape[2:])
            attended = F.softmax(saliency.flatten(1), dim=1).view_as(saliency)  # [n, 1, h, w]
            # Attention weighs the residuals of each place; weighted features would look like another texture.
            region = sample_regions(torch.cat([reduced, attended], 1), size, center, self.params.region)
            texture = self._encoded(region[:, :-1], region[:, -1])
            state = self.cell(texture, state)
            scores.append(self.classify(state[0]))
            for collected, value in ((attention, attended[:, 0]), (sizes, size), (centers, center), (regions, texture)):
                collected.append(value)
        return Glimpses(
            torch.stack(scores, 1).amax(1), torch.stack(attention, 1), torch.stack(sizes, 1), torch.stack(centers, 1),
            torch.stack(regions, 1), maps.mean((2, 3)),
        )  # fmt: skip

    def _encoded(self, maps: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Texture [n, codewords * width] of rms 1, from reduced maps [n, width, h, w] and weights [n, h, w] of places.

        Deep TEN normalizes encodings to unit length; here they get the scale of the LSTM's states.
        """
        encoded = self.texture(maps, weights).flatten(1)
        return F.normalize(encoded) * encoded.shape[1] ** 0.5

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors of whole pictures, see ``whole``."""
        return self.whole(self.glimpses_in(images))

    def whole(self, glimpses: Glimpses) -> torch.Tensor:
        """Vectors of whole pictures [n, branch + region width]: pooled features, mean region, each of unit length."""
        return torch.cat([F.normalize(glimpses.whole), F.normalize(glimpses.regions.mean(1))], dim=1)
