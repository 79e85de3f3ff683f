"""Which colors a picture shows: a histogram, for the heads that the pooled features of a network tell too little."""

import torch
import torch.nn.functional as F

CELLS = (8, 11, 11)  # of lightness, red against green, yellow against blue
WIDTH = CELLS[0] * CELLS[1] * CELLS[2]
MIDDLE = (0.1, 0.9)  # of the content's height and width: what lies at a crop's edges is not the garment
SIDE = 32  # pixels that are looked at along each axis, at most
STRETCH = 1.3  # of the two color axes: few pixels of a photo come near their ends


def color_histogram(images: torch.Tensor) -> torch.Tensor:
    """Square roots of the shares of a picture's middle that each cell of colors has, float32 [n, WIDTH].

    The axes are those of opponent colors (van de Sande et al. 2010): (R + G + B) / 3, R - G, (R + G) / 2 - B. A pixel
    counts for the two cells nearest to it along each axis, by its distance, so that a shade at an edge does not jump.
    With the square root, products of two histograms are their Bhattacharyya coefficient: colors of which there is
    little count, too.

    Args:
        images: uint8 or float [n, 3, height, width], values in 0..255.
    """
    pixels = _middle(images)
    red, green, blue = (pixels.flatten(2).float() / 255).unbind(1)
    axes = (
        (red + green + blue) / 3,
        (red - green) / 2 * STRETCH + 0.5,
        ((red + green) / 2 - blue) / 2 * STRETCH + 0.5,
    )
    memberships = [_membership(axis, cells) for axis, cells in zip(axes, CELLS, strict=True)]
    shares = torch.einsum("npl,npa,npb->nlab", *memberships).flatten(1) / red.shape[1]
    return (shares + 1e-8).sqrt()


def _middle(images: torch.Tensor) -> torch.Tensor:
    """[n, 3, SIDE, SIDE] at most: pixels spread evenly over the middle of what is left without a plain border.

    A border is every whole row and column at the edges in the color of the first pixel: what a crop was padded with.
    It says how long a garment is, not which color it has. Of a view that augmentation both darkened and turned the
    corners are white and the padding is not: it stays.
    """
    plain = (images == images[:, :, :1, :1]).all(1)  # [n, height, width]
    for axis in (2, 3):
        content = ~plain.all(4 - axis)  # [n, size]
        content |= ~content.any(1, keepdim=True)  # a picture of one color is all content
        size = content.shape[1]
        first = content.float().argmax(1)
        last = size - 1 - content.flip(1).float().argmax(1)
        low, high = (first + (last - first) * share for share in MIDDLE)
        steps = torch.linspace(0, 1, min(SIDE, size), device=images.device)
        places = (low[:, None] + (high - low)[:, None] * steps).round().long()
        shape = [len(images), 1, 1, 1]
        shape[axis] = places.shape[1]
        wide = list(images.shape)
        wide[axis] = places.shape[1]
        images = images.gather(axis, places.view(shape).expand(wide))
    return images


def _membership(values: torch.Tensor, cells: int) -> torch.Tensor:
    """[n, pixels, cells] of values in 0..1 [n, pixels]: how much each belongs to each cell; a pixel's sum is 1."""
    place = values.clamp(0, 1) * (cells - 1)
    return F.relu(1 - (place.unsqueeze(2) - torch.arange(cells, device=values.device)).abs())
