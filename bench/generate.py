"""Generate a tree in DeepFashion2's format with annotations and photos of realistic sizes, the same every time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (400, 533)  # width x height in pixels
LANDMARKS = 30  # of one item; upstream has 8 to 39
POLYGON = 60  # corners of one item's outline
BASES = 12  # photos are shifted crops of this many large pictures, as drawing each would take longer than reading


def annotation(rng: np.random.Generator) -> dict[str, Any]:
    """One image's annotation with two items: 4 to 8 kB, as upstream's."""
    return {
        "source": "user",
        "pair_id": int(rng.integers(1, 10_000)),
        "item1": _item(rng),
        "item2": _item(rng),
    }


def _item(rng: np.random.Generator) -> dict[str, Any]:
    x, y = (int(rng.integers(0, side // 2)) for side in SIZE)
    points = np.stack([rng.integers(0, SIZE[0], LANDMARKS), rng.integers(0, SIZE[1], LANDMARKS)], axis=1)
    outline = rng.uniform(0, SIZE[0], (2, 2 * POLYGON)).round(2)
    return {
        "segmentation": outline.tolist(),
        "scale": 2,
        "viewpoint": 2,
        "zoom_in": 1,
        "landmarks": [int(value) for x, y in points for value in (x, y, 2)],
        "style": int(rng.integers(0, 3)),
        "bounding_box": [x, y, x + int(rng.integers(50, 200)), y + int(rng.integers(50, 260))],
        "category_id": int(rng.integers(1, 14)),
        "occlusion": 1,
        "category_name": "short sleeve top",
    }


def write_annotations(folder: Path, count: int) -> int:
    """``count`` JSON files; the mean size in bytes."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    total = 0
    for number in range(1, count + 1):
        data = json.dumps(annotation(rng)).encode()
        total += len(data)
        (folder / f"{number:06d}.json").write_bytes(data)
    return total // max(count, 1)


def write_photos(folder: Path, count: int) -> int:
    """``count`` JPEG files of gradients, blocks and sensor noise; the mean size in bytes."""
    rng = np.random.default_rng(2)
    folder.mkdir(parents=True)
    bases = [_base(rng) for _ in range(BASES)]
    total = 0
    for number in range(1, count + 1):
        base = bases[int(rng.integers(BASES))]
        left, top = (int(rng.integers(0, side)) for side in SIZE)
        path = folder / f"{number:06d}.jpg"
        base.crop((left, top, left + SIZE[0], top + SIZE[1])).save(path, quality=75)
        total += path.stat().st_size
    return total // max(count, 1)


def _base(rng: np.random.Generator) -> Image.Image:
    size = (2 * SIZE[0], 2 * SIZE[1])
    blocks = Image.fromarray(rng.integers(0, 255, (16, 12, 3), dtype=np.uint8))
    smooth = np.asarray(blocks.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = smooth + rng.normal(0, 8, (size[1], size[0], 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def fingerprints(count: int) -> list[bytes]:
    """Fingerprints like those of product photos: blank margins, bright thumbnails, a near duplicate in a hundred."""
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2, (count, 16, 16), dtype=np.uint8)
    hashes[:, :2] = hashes[:, -2:] = hashes[:, :, :3] = hashes[:, :, -3:] = 0
    light = 225 - rng.gamma(2, 15, (count, 1, 1)) + rng.normal(0, 25, (count, 64, 3))
    thumbnails = light.clip(0, 255).astype(np.uint8).reshape(count, -1)
    packed = np.concatenate([np.packbits(hashes.reshape(count, -1), axis=1), thumbnails], axis=1)
    copies = np.arange(0, count - 1, 100)
    packed[copies + 1] = packed[copies]
    packed[copies + 1, 40] ^= 1
    return [row.tobytes() for row in packed]
