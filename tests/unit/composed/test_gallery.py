"""Answers of a wardrobe whose models look at colors alone: a photo's upper half is a top, its lower half a bottom."""

import pytest
from small_wardrobe import ColorModels, photo

from stages.app.wardrobe import Wardrobe
from stages.composed.gallery import ORIGINALS, TRAINING, Gallery, training_labels, write_photos
from stages.composed.pictures import Pasted
from stages.contracts.tables import write_rows
from stages.crops.dataset import ITEMS

# Photo -> colors of its upper and lower half.
COLORS = {
    "shop:red": ((230, 20, 20), (20, 20, 230)),
    "shop:green": ((20, 230, 20), (20, 20, 230)),
    "shop:folder/own": ((230, 60, 20), (120, 120, 20)),
}
TRAINED = {"shop:red": {"type": "Shirt", "color": "red"}, "shop:green": {"type": "Polo"}}


@pytest.fixture
def gallery(tmp_path):
    """Two training photos and the original of a garment."""
    content = {
        name: photo(tmp_path / "raw" / f"{at}.png", *pair).read_bytes()
        for at, (name, pair) in enumerate(COLORS.items())
    }

    def photos(source, wanted):
        return [(image_id, content[f"{source}:{image_id}"]) for image_id in wanted]

    written = write_photos(tmp_path / "photos", TRAINED, ["shop:folder/own"], photos)
    return Gallery(Wardrobe(ColorModels(), tmp_path / "store"), written)


def truth(**changes):
    known = {"photo": "shop:folder/own", "superclass": "top", "labels": {"color": "red", "type": "Shirt"}}
    return Pasted(box=(0, 0, 40, 30), hidden=0.0, **known | changes)


def garment(gallery, tmp_path, upper):
    """The upper garment of a query photo."""
    query = gallery.wardrobe.read_query(photo(tmp_path / "query.png", upper))
    return next(garment for garment in query.garments if garment.superclass == "top")


def test_photos_are_files_in_two_folders(gallery):
    folders = [path.parent.name for path in sorted(gallery.photos.names, key=lambda path: gallery.photos.names[path])]
    assert folders == [ORIGINALS, TRAINING, TRAINING]
    assert all(path.is_file() for path in gallery.photos.names)
    assert gallery.wardrobe.catalog().photos == 3


def test_original_comes_first_and_the_type_is_that_of_the_nearest_training_photo(gallery, tmp_path):
    own = gallery.answer(garment(gallery, tmp_path, (230, 60, 20)), truth())
    assert own.right_first and own.same_type_first and own.superclass_right
    assert (own.labels_right, own.labels_known, own.labels_majority) == (1, 1, 1)  # these models know no type
    assert (own.right_chance, own.same_type_chance) == (pytest.approx(1 / 3), 0.5)


def test_garment_that_looks_like_another_photo_has_the_wrong_match_first(gallery, tmp_path):
    own = gallery.answer(garment(gallery, tmp_path, (20, 230, 20)), truth())
    assert not own.right_first and not own.same_type_first
    assert (own.labels_right, own.labels_known) == (0, 1)


def test_class_of_the_label_decides_what_is_right_and_an_unknown_type_is_never_the_same(gallery, tmp_path):
    own = gallery.answer(garment(gallery, tmp_path, (230, 60, 20)), truth(superclass="dress", labels={}))
    assert not own.superclass_right and own.right_first and not own.same_type_first
    assert (own.labels_known, own.same_type_chance) == (0, 0.0)


def test_photo_whose_garment_has_another_class_does_not_compete(gallery, tmp_path):
    held = gallery.competing(garment(gallery, tmp_path, (230, 60, 20)))
    assert held == set(COLORS)
    catalog = gallery.wardrobe.catalog()
    catalog.superclass[:] = ["bottom" if row == "top" else row for row in catalog.superclass]
    answer = gallery.answer(garment(gallery, tmp_path, (230, 60, 20)), truth())
    assert not answer.right_first and answer.right_chance == 0.0
    assert answer.right_first_any_class


def test_training_labels_are_those_of_the_source(tmp_path):
    rows = [
        {"item_id": name, "image_id": name, "source": source, "split": split, "type": "Shirt"}
        for name, source, split in (("a", "shop", "train"), ("b", "shop", "test"), ("c", "other", "train"))
    ]
    write_rows(tmp_path / "dataset/items.parquet", ITEMS, rows)
    assert training_labels(tmp_path, "shop") == {"a": {"type": "Shirt"}}


def test_commonest_class_is_of_each_head_and_ties_go_by_the_alphabet(gallery):
    assert gallery.photos.commonest() == {"type": "Polo", "color": "red"}
