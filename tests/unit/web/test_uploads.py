"""Photos that are held: the last ones, up to a count and a sum of bytes."""

import pytest
from fake_wardrobe import query_garment

from stages.web.uploads import MOST_GARMENTS, Upload, Uploads


def upload(size=10, garments=()):
    return Upload("a.jpg", b"x" * size, b"", "0" * 64, (100, 120), list(garments))


def test_the_photo_that_was_used_longest_ago_is_forgotten_first():
    uploads = Uploads(2, 1000)
    first, second = uploads.keep(upload()), uploads.keep(upload())
    assert uploads.get(first.photo_id) is first
    third = uploads.keep(upload())
    assert uploads.get(second.photo_id) is None
    assert uploads.get(first.photo_id) is first and uploads.get(third.photo_id) is third


def test_bytes_are_bounded_and_the_newest_stays_whatever_its_size():
    uploads = Uploads(10, 100)
    kept = [uploads.keep(upload(40)) for _ in range(3)]
    assert [uploads.get(one.photo_id) is not None for one in kept] == [False, True, True]
    large = uploads.keep(upload(500))
    assert uploads.get(large.photo_id) is large and uploads.get(kept[2].photo_id) is None


def test_ids_are_never_the_same_and_long_enough_not_to_be_guessed():
    uploads = Uploads(1, 100)
    ids = {uploads.keep(upload()).photo_id for _ in range(100)}
    assert len(ids) == 100 and min(map(len, ids)) >= 16


@pytest.mark.parametrize(("number", "place"), [(0, 0), (1, 1), (None, 2), (7, 2)])
def test_correction_takes_the_place_of_its_garment_or_is_one_more(number, place):
    photo = upload(garments=[query_garment(), query_garment()])
    mine = query_garment("footwear")
    assert photo.correct(number, mine) == place
    assert photo.garments[place] is mine and len(photo.garments) == (2 if place < 2 else 3)


def test_garments_of_a_photo_are_bounded():
    photo = upload(garments=[query_garment()])
    for _ in range(100):
        place = photo.correct(None, query_garment())
    assert len(photo.garments) == MOST_GARMENTS and place == MOST_GARMENTS - 1
