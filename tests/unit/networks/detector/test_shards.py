"""Detectors over the pictures of a source: in the order of its shards, each picture decoded once."""

import pytest
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import IMAGES, write_shards
from stages.networks.detector import shards
from stages.networks.detector.params import NmsParams
from stages.networks.detector.shards import portions, search_portion, search_shards

NMS = NmsParams(iou=0.5, per_class=True)


class Bright:
    """Finds a box in every picture, as sure as the picture is bright; remembers what it was given."""

    def __init__(self):
        self.calls = []

    def predict(self, images, confidence, nms):
        self.calls.append((len(images), confidence, nms))
        return [[{"superclass": "top", "confidence": float(image.mean())}] for image in images]


@pytest.fixture
def source(tmp_path):
    """Seven pictures in three shards, each brighter than the one before."""
    rows = [
        dict.fromkeys(IMAGES.names)
        | {"image_id": f"i{number}", "source": "s", "split": "train", "width": 8, "height": 6,
           "bytes": encode_jpeg(Image.new("RGB", (8, 6), (30 * number,) * 3))}
        for number in range(7)
    ]  # fmt: skip
    write_shards(tmp_path, IMAGES, rows, "image_id", 3)
    return tmp_path


def search(source, detectors, wanted, batch=2):
    return list(
        search_shards(source, ["image_id", "bytes"], detectors, wanted, batch=batch, confidence=0.25, nms=NMS, desc="x")
    )


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_every_wanted_picture_comes_once_with_its_own_detections(source, batch):
    one = Bright()
    found = search(source, {"one": one}, lambda row: None if row["image_id"] == "i3" else ["one"], batch)
    assert sorted(searched.row["image_id"] for searched in found) == ["i0", "i1", "i2", "i4", "i5", "i6"]
    for row, image, detections in found:
        assert image.shape == (6, 8, 3)
        assert [(each["detector"], each["superclass"]) for each in detections] == [("one", "top")]
        assert detections[0]["confidence"] == pytest.approx(30 * int(row["image_id"][1:]), abs=1)
    sizes = [size for size, _, _ in one.calls]
    assert sum(sizes) == 6 and max(sizes) <= batch
    assert {call[1:] for call in one.calls} == {(0.25, NMS)}


def test_each_picture_is_searched_by_the_detectors_that_are_wanted_in_their_order(source):
    detectors = {"b": Bright(), "a": Bright()}
    names = {"i0": ["a", "b"], "i1": ["a"], "i2": []}
    found = search(source, detectors, lambda row: names.get(row["image_id"]))
    assert {searched.row["image_id"]: [each["detector"] for each in searched.detections] for searched in found} == {
        "i0": ["b", "a"], "i1": ["a"], "i2": [],
    }  # fmt: skip


def test_picture_is_decoded_once_for_all_detectors_and_never_where_none_wants_it(source, monkeypatch):
    decoded, pixels = [], shards.pixels
    monkeypatch.setattr(shards, "pixels", lambda data: decoded.append(data) or pixels(data))
    search(source, {"a": Bright(), "b": Bright()}, lambda row: ["a", "b"] if row["image_id"] in ("i1", "i2") else None)
    assert len(decoded) == len(set(decoded)) == 2


class Noting(Bright):
    """Remembers the pictures of each batch by how bright they are."""

    def predict(self, images, confidence, nms):
        self.calls.append([round(float(image.mean()) / 30) for image in images])
        return [[{"superclass": "top", "confidence": float(image.mean())}] for image in images]


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("left_out", [(), ("i3",), ("i0", "i1", "i2", "i3", "i4")])
@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_portions_have_the_batches_of_the_whole_source_in_order(source, batch, left_out, names):
    wanted = {f"i{number}": names for number in range(7) if f"i{number}" not in left_out}
    whole = {name: Noting() for name in names}
    expected = search(source, whole, lambda row: wanted.get(row["image_id"]), batch)
    divided = {name: Noting() for name in names}
    work = portions(source, wanted, batch, len(names))
    results = [
        picture
        for portion in work
        for picture in search_portion(portion, divided, batch=batch, confidence=0.25, nms=NMS)
    ]
    assert [(one.row, one.detections) for one in results] == [(one.row, one.detections) for one in expected]
    assert {name: one.calls for name, one in divided.items()} == {name: one.calls for name, one in whole.items()}
    assert sorted(name for portion in work for name in portion.wanted) == sorted(wanted)


def test_a_source_has_a_portion_for_each_shard_in_which_a_batch_begins(source):
    wanted = {f"i{number}": ["a"] for number in range(7)}
    sizes = [len(search_ids(path)) for path in shards.shard_paths(source)]
    assert len(sizes) == 3 and min(sizes) > 0
    assert [len(portion.wanted) for portion in portions(source, wanted, 1, 1)] == sizes
    assert [len(portion.wanted) for portion in portions(source, wanted, 100, 1)] == [7]
    assert portions(source, {}, 1, 1) == []


def search_ids(path):
    return shards.read_table(path, columns=["image_id"])["image_id"].to_pylist()
