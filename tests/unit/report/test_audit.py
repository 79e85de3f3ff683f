"""The audit against the ground truth, on three garments whose right answers are known by hand."""

from stages.report.audit import crop_shares, label_shares, planted_errors, shown_garment


def garment(item, box, superclass="top", image="p1"):
    return {
        "item": item,
        "image_id": image,
        "superclass": superclass,
        **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
    }


SHIRT = garment("shirt", (0, 0, 10, 10))
JEANS = garment("jeans", (0, 10, 10, 30), "bottom")
SHOES = garment(None, (0, 30, 10, 34), "footwear")


def found(item, box, outcome="matched"):
    return {"item_id": item, "outcome": outcome, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}


def test_the_garment_that_overlaps_most_is_the_one_shown():
    assert shown_garment((0, 1, 10, 11), [SHIRT, JEANS], 0.25) == 0
    assert shown_garment((0, 8, 10, 28), [SHIRT, JEANS], 0.25) == 1
    assert shown_garment((50, 50, 60, 60), [SHIRT, JEANS], 0.25) is None
    assert shown_garment((0, 1, 10, 11), [], 0.25) is None


def test_a_box_that_hardly_touches_a_garment_shows_none():
    assert shown_garment((0, 0, 2, 2), [SHIRT], 0.25) is None
    assert shown_garment((0, 0, 10, 4), [SHIRT], 0.25) == 0  # IoU .4
    assert shown_garment((0, 0, 10, 4), [SHIRT], 0.5) is None
    shares = crop_shares([found("shirt", (0, 0, 2, 2))], {"shirt": "p1"}, [SHIRT])
    assert (shares["all"].right, shares["all"].rows) == (0, 1)


def test_crops_are_right_when_they_show_their_own_garment():
    outcomes = [
        found("shirt", (0, 0, 10, 11)),
        found("jeans", (0, 0, 10, 11)),  # the shirt's box
        found("jeans", (0, 0, 0, 0), "mismatch"),  # not matched: not counted
    ]
    shares = crop_shares(outcomes, {"shirt": "p1", "jeans": "p1"}, [SHIRT, JEANS, SHOES])
    assert {name: (share.right, share.rows) for name, share in shares.items()} == {
        "all": (1, 2),
        "bottom": (0, 1),
        "top": (1, 1),
    }


def test_crop_of_an_item_that_the_picture_does_not_show_is_wrong():
    shares = crop_shares([found("ghost", (0, 0, 10, 10))], {"ghost": "p1"}, [SHIRT])
    assert (shares["not in the picture"].right, shares["all"].rows) == (0, 1)


def test_unknown_labels_are_neither_right_nor_wrong():
    heads = dict.fromkeys(("gender", "type", "usage", "color", "fabric", "pattern"))
    sound = {"type_swapped": False, "color_swapped": False}
    truth = {"a": heads | sound | {"color": "Blue", "type": "Jeans"}, "b": heads | sound | {"color": "Red"}}
    labels = [heads | {"item_id": "a", "color": "Blue", "type": "Shirts"}, heads | {"item_id": "b"}]
    shares = label_shares(labels, truth)
    assert (shares["color"].right, shares["color"].rows) == (1, 1)
    assert (shares["type"].right, shares["type"].rows) == (0, 1)
    assert str(shares["fabric"]) == "100.0% of 0"


def test_planted_errors_are_counted_apart():
    heads = dict.fromkeys(("gender", "type", "usage", "color", "fabric", "pattern"))
    blue_jeans = {"type": "Jeans", "color": "Blue", "type_swapped": False, "color_swapped": False}
    truth = {item: heads | blue_jeans | {"type_swapped": item in "bc", "color_swapped": item == "d"} for item in "abcd"}
    said = {"a": ("Shirts", "Blue"), "b": ("Trousers", "Blue"), "c": ("Jeans", "Blue"), "d": ("Jeans", "Black")}
    labels = [heads | {"item_id": item, "type": name, "color": color} for item, (name, color) in said.items()]
    shares = label_shares(labels, truth)
    # a is wrong on its own account; b and d as planted; c was planted and somebody has put it right
    assert (shares["type"].right, shares["type"].rows) == (1, 2)
    assert (shares["color"].right, shares["color"].rows) == (3, 3)
    assert planted_errors(labels, truth) == {"type": {"b"}, "color": {"d"}}
