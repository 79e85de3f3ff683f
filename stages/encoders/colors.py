"""Which colours a picture shows: a histogram, for the heads that the pooled features of a network tell too little."""

import torch
import torch.nn.functional as F

CELLS = (6, 9, 9)  # of lightness, red against green, yellow against blue
WIDTH = CELLS[0] * CELLS[1] * CELLS[2]
MIDDLE = ((0.2, 0.8), (0.25, 0.75))  # of the height and the width: crops have the garment in their middle
SIDE = 32  # pixels that are looked at along each axis, at most
STRETCH = 1.3  # of the two colour axes: few pixels of a photo come near their ends


def color_histogram(images: torch.Tensor) -> torch.Tensor:
    """Square roots of the shares of a picture's middle that each cell of colours has, float32 [n, WIDTH].

    The axes are those of opponent colours (van de Sande et al. 2010): (R + G + B) / 3, R - G, (R + G) / 2 - B. A pixel
    counts for the two cells nearest to it along each axis, by its distance, so that a shade at an edge does not jump.
    With the square root, products of two histograms are their Bhattacharyya coefficient: colours of which there is
    little count, too.

    Args:
        images: uint8 or float [n, 3, height, width], values in 0..255.
    """
    height, width = images.shape[2:]
    rows, columns = (_places(size, *part) for size, part in zip((height, width), MIDDLE, strict=True))
    red, green, blue = (images[:, :, rows][..., columns].flatten(2).float() / 255).unbind(1)
    axes = (
        (red + green + blue) / 3,
        (red - green) / 2 * STRETCH + 0.5,
        ((red + green) / 2 - blue) / 2 * STRETCH + 0.5,
    )
    parts = [_membership(axis, cells) for axis, cells in zip(axes, CELLS, strict=True)]
    shares = torch.einsum("npl,npa,npb->nlab", *parts).flatten(1) / red.shape[1]
    return (shares + 1e-8).sqrt()


def _places(size: int, start: float, end: float) -> torch.Tensor:
    """Pixel numbers spread evenly over a part of a side."""
    first, last = int(size * start), max(int(size * end), int(size * start) + 1)
    return torch.linspace(first, last - 1, min(SIDE, last - first)).round().long()


def _membership(values: torch.Tensor, cells: int) -> torch.Tensor:
    """[n, pixels, cells] of values in 0..1 [n, pixels]: how much each belongs to each cell; a pixel's sum is 1."""
    place = values.clamp(0, 1) * (cells - 1)
    return F.relu(1 - (place.unsqueeze(2) - torch.arange(cells, device=values.device)).abs())
