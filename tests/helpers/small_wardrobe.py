"""A wardrobe whose models look at colors alone: a photo's upper half is a top, its lower half a bottom."""

import numpy as np
from PIL import Image

from stages.app.garments import Garment, garment_at, read_photo, unit
from stages.app.models import Models
from stages.contracts.images import encode_jpeg, open_rgb
from stages.core.errors import StageError
from stages.core.files import digest
from stages.core.params import load_params, section
from stages.crops.params import CropParams
from stages.networks.detector.params import NmsParams

CROPS = section(CropParams, "crops", load_params())
NMS = section(NmsParams, "nms", load_params())
HEADS = {"color": ["red", "green", "blue"], "tone": ["dark", "light"]}
SMALLEST = 8  # pixels of a side


class ColorModels(Models):
    """Vectors are mean colors; ``looked`` has the name of each photo that was looked at.

    Attributes:
        version: another one stands for other models.
    """

    def __init__(self, version="1", unsure_below=0.6):
        self.params, self.nms, self.profile, self.unsure_below = CROPS, NMS, "demo", unsure_below
        self.heads, self.superclasses, self.version, self.looked = HEADS, ["top", "bottom"], version, []

    def files(self):
        return []

    def key(self, hashes):
        return digest(self.version)

    def warm(self):
        pass

    def garments(self, data, *name):
        image = read_photo(data, *name)
        self.looked.extend(name)
        width, height = image.size
        if min(width, height) < SMALLEST:
            raise StageError(f"{name[0]}: {width}x{height} pixels are too few to see a garment in.")
        boxes = {"top": (0, 0, width, height // 2), "bottom": (0, height // 2, width, height)}
        found = [
            Garment(*name or ("",), superclass, 0.9, box, encode_jpeg(image.crop(box)))
            for superclass, box in boxes.items()
        ]
        return image.size, found

    def trained_boxes(self, data):
        width, height = read_photo(data).size
        return [(0, 0, width, height // 2)]

    def garment_at(self, data, box, superclass):
        return garment_at(read_photo(data), box, superclass, self.superclasses, self.params)

    def describe(self, garments):
        colors = np.array([np.asarray(open_rgb(one.crop), np.float32).mean((0, 1)) for one in garments])
        hue = np.exp((colors - colors.max(1, keepdims=True)) / 20)
        light = colors.mean(1, keepdims=True) / 255
        shares = np.concatenate([hue / hue.sum(1, keepdims=True), 1 - light, light], axis=1)
        return unit(colors, "cosine").astype(np.float32), shares.astype(np.float32)


def photo(path, upper, lower=None, size=(40, 60), kind=None, **options):
    """Write a photo with these colors in its upper and lower half; its path."""
    image = Image.new("RGB", size, upper)
    image.paste(lower or upper, (0, size[1] // 2, *size))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind or ("PNG" if path.suffix == ".png" else "JPEG"), **options)
    return path
