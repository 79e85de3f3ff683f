"""A histogram of a picture's colors, for heads that need more color than a network's pooled features have."""

import torch
import torch.nn.functional as F

CELLS = (8, 11, 11)  # of lightness, red against green, yellow against blue
WIDTH = CELLS[0] * CELLS[1] * CELLS[2]
MIDDLE = (0.1, 0.9)  # of the content's height and width: the edges of a crop do not show the garment
SIDE = 32  # most pixels sampled along each axis
STRETCH = 1.3  # of the two color axes, whose ends few pixels of a photo reach


def color_histogram(images: torch.Tensor) -> torch.Tensor:
    """The color histogram of a picture's middle: square roots of the cells' shares, float32 [n, WIDTH].

    The axes are those of opponent colors (van de Sande et al. 2010): (R + G + B) / 3, R - G, (R + G) / 2 - B. A pixel
    is shared between the two nearest cells along each axis by its distance to them, so that small changes of shade make
    small changes of the histogram. With square roots the dot product of two histograms is their Bhattacharyya
    coefficient, in which rare colors count as well.

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
    """Pixels [n, 3, SIDE, SIDE] or fewer, evenly spaced over the middle of the picture without its plain border.

    The border is all rows and columns in the color of the first pixel: the padding of a crop, which tells how long a
    garment is and not which color it has. If augmentation darkens and rotates a view, its corners are white but its
    padding is not, so the padding is not detected as border and is kept.
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
    """Share [n, pixels, cells] of each cell in each value [n, pixels] in 0..1; the shares of a pixel sum to 1."""
    place = values.clamp(0, 1) * (cells - 1)
    return F.relu(1 - (place.unsqueeze(2) - torch.arange(cells, device=values.device)).abs())
