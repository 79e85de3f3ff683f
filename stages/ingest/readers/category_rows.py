"""What the two layouts of DeepFashion's Category and Attribute Prediction share: the categories, and an image's row."""

from typing import Any

from stages.ingest.readers.deepfashion_lists import Images
from stages.ingest.reading import ImageFile, Reading, Request

# In upstream's order, which the numbers 1 to 50 in its lists mean.
CATEGORIES = (
    "Anorak", "Blazer", "Blouse", "Bomber", "Button-Down", "Cardigan", "Flannel", "Halter", "Henley", "Hoodie",
    "Jacket", "Jersey", "Parka", "Peacoat", "Poncho", "Sweater", "Tank", "Tee", "Top", "Turtleneck",
    "Capris", "Chinos", "Culottes", "Cutoffs", "Gauchos", "Jeans", "Jeggings", "Jodhpurs", "Joggers", "Leggings",
    "Sarong", "Shorts", "Skirt", "Sweatpants", "Sweatshorts", "Trunks",
    "Caftan", "Cape", "Coat", "Coverup", "Dress", "Jumpsuit", "Kaftan", "Kimono", "Nightdress", "Onesie",
    "Robe", "Romper", "Shirtdress", "Sundress",
)  # fmt: skip
ATTRIBUTE_SEPARATOR = "|"  # between an image's attributes in its row: their names hold spaces


class Rows:
    """The rows of a reading by image, each image once."""

    def __init__(self, request: Request, reading: Reading, images: Images) -> None:
        self.request = request
        self.reading = reading
        self.images = images
        self.by_image: dict[str, dict[str, Any]] = {}

    def add(self, key: str, name: str, status: str) -> dict[str, Any] | None:
        """The row of a further image, its category and attributes still to be filled in; None if it is rejected.

        Args:
            key: file and line that name it.
            name: ``img/<path>.jpg``.
            status: train, val or test.
        """
        ledger = self.request.account.ledger("items")
        image_id = self.images.find(name)
        if image_id is None:
            ledger.reject(key, "missing_image", name)
            return None
        if image_id in self.by_image:
            ledger.reject(key, "duplicate_row", name)
            return None
        row = {"item_id": image_id, "image_id": image_id, "status": status, "category": None, "attributes": None}
        self.by_image[image_id] = row
        self.reading.items.append(row)
        self.reading.images.append(ImageFile(image_id, self.images.paths[image_id], status))
        return row


def category_name(text: str, names: tuple[str, ...] = CATEGORIES) -> str | None:
    """The category that a list gives by its number, from 1; None when it is none."""
    return names[int(text) - 1] if text.isdecimal() and 1 <= int(text) <= len(names) else None
