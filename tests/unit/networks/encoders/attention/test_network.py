"""The attention network: shapes of the published table, regions where they should be, and recommendations by region."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from stages.contracts.images import encode_jpeg
from stages.core.errors import StageError
from stages.encoders.attention import AttentionTask, label_matrix, most_frequent_share, overlap
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder
from stages.networks.encoders.attention.encoder import (
    COLORS,
    AttentionEncoder,
    UprightPictures,
    recommendation_sheet,
    region_box,
    upright,
)
from stages.networks.encoders.attention.network import (
    AttentionNetwork,
    PublishedBranch,
    StagesBranch,
    sample_regions,
    soft_window,
)
from stages.networks.encoders.attention.recommend import diverse_list, region_distances


def test_global_branch_has_the_published_sizes():
    branch = PublishedBranch((64, 128, 256), 0.25).layers.eval()
    sizes, value = [], torch.zeros(1, 3, 384, 256)
    with torch.no_grad():
        for layer in branch:
            value = layer(value)
            sizes.append((layer.__class__.__name__, tuple(value.shape[1:])))
    table = [size for name, size in sizes if name != "ReLU"]
    assert table == [
        (64, 384, 256), (64, 384, 256), (64, 384, 256), (64, 96, 64), (64, 96, 64),
        (128, 96, 64), (128, 96, 64), (128, 96, 64), (128, 24, 16), (128, 24, 16),
        (256, 24, 16), (256, 24, 16),
    ]  # fmt: skip
    assert [name for name, _ in sizes if name in ("Dropout", "MaxPool2d", "BatchNorm2d")] == [
        "Dropout", "MaxPool2d", "BatchNorm2d",
    ] * 2  # fmt: skip


def test_branch_of_a_pretrained_network_is_that_network_up_to_maps_of_the_same_size():
    branch = StagesBranch("tf_efficientnet_lite0", "packaged").eval()
    images = torch.randint(0, 256, (2, 3, 96, 64), generator=torch.Generator().manual_seed(0)).float()
    whole = Backbone("tf_efficientnet_lite0", "packaged").eval()
    with torch.no_grad():
        _, stages = whole.network.forward_intermediates((images - whole.mean) / whole.std)
        maps = branch(images)
    assert maps.shape == (2, branch.width, 6, 4) and torch.equal(maps, stages[3])
    assert len(branch.state_dict()) < len(whole.state_dict())  # what comes after is not there


def test_branch_without_maps_of_that_size_is_refused():
    with pytest.raises(StageError, match="vit_small_patch8_224 has no stage whose maps are 1/16"):
        StagesBranch("vit_small_patch8_224", "none")


def test_region_of_full_size_is_the_map_itself_and_a_quarter_is_its_corner():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    whole = sample_regions(maps, torch.ones(1, 2), torch.zeros(1, 2), 4)
    assert torch.allclose(whole, maps, atol=1e-5)
    corner = sample_regions(maps, torch.full((1, 2), 0.5), torch.tensor([[0.5, -0.5]]), 2)
    assert torch.allclose(corner[0, 0], maps[0, 0, :2, 2:], atol=1e-5)  # x to the right, y up


@pytest.fixture
def network(recipe, cpu):
    return AttentionNetwork(recipe("attention").network, 5).eval()


def look(network, count=2):
    images = torch.randint(0, 256, (count, 3, 48, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.look(images), images


def test_attention_decides_what_a_glimpse_is_made_of(network):
    """All attention on one place: whatever stands elsewhere, the glimpse stays the same."""
    draw = torch.Generator().manual_seed(2)
    maps = torch.rand(1, network.params.texture_width, 3, 2, generator=draw)
    other = torch.rand(maps.shape, generator=draw)
    other[:, :, 1, 0] = maps[:, :, 1, 0]
    place = torch.zeros(1, 3, 2)
    place[:, 1, 0] = 0.3
    with torch.no_grad():
        one, same = network._encoded(maps, place), network._encoded(other, place)
        assert torch.allclose(one, same, atol=1e-5)
        assert not torch.allclose(network._encoded(maps), network._encoded(other), atol=1e-2)
        assert torch.allclose(network._encoded(maps, torch.ones(1, 3, 2)), network._encoded(maps), atol=1e-5)


def test_glimpses_start_at_their_anchors_and_maps_sum_to_one(network):
    seen, _ = look(network)
    assert seen.scores.shape == (2, 5) and seen.regions.shape == (2, 2, 12) and seen.maps.shape == (2, 2, 3, 2)
    assert torch.allclose(seen.maps.sum((2, 3)), torch.ones(2, 2))
    assert torch.allclose(seen.centre, torch.tensor([[[0.0, -0.5], [0.0, 0.5]]] * 2))
    assert torch.allclose(seen.size, torch.full((2, 2, 2), 0.5))


def test_window_is_a_gaussian_around_the_region():
    """Places of one row of four lie at -.75, -.25, .25 and .75, those of one column of two at -.5 and .5."""
    window = soft_window(torch.tensor([[0.5, -1.0]]), torch.tensor([[0.25, -0.5]]), 2, 4)
    along_x, along_y = np.array([2.0, 1, 0, 1]) ** 2, np.array([0.0, 1]) ** 2  # in sizes of the region, mirrored in y
    assert window.shape == (1, 1, 2, 4)
    assert window[0, 0].numpy() == pytest.approx(-(along_x[None] + along_y[:, None]) / 2)
    tiny = soft_window(torch.zeros(1, 2), torch.zeros(1, 2), 1, 2)  # as wide as the least window: 5 sizes away
    assert tiny.flatten().tolist() == pytest.approx([-12.5, -12.5])


def test_maps_of_glimpses_lie_where_their_regions_are(network):
    """Anchors are at the top and at the bottom: so are the maps, before any training."""
    seen, _ = look(network)
    rows = seen.maps.sum(3)  # [n, K, 3]
    assert (rows[:, 0, 0] > 2 * rows[:, 0, 2]).all() and (rows[:, 1, 2] > 2 * rows[:, 1, 0]).all()
    assert overlap(seen.maps) < 0.7


def test_overlap_is_what_two_maps_share():
    maps = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]])[:, :, None]  # pairs share .5, .5 and 0
    assert float(overlap(maps)) == pytest.approx(1 / 3)
    assert float(overlap(maps[:, :1])) == 0
    assert float(overlap(maps[:, [0, 0]])) == 1


@pytest.mark.parametrize("branch", [None, "test_efficientnet"])
def test_cached_views_see_what_the_branch_sees_and_validation_is_the_same(branch, recipe, examples, cpu):
    still = {"flip": 0.0, "rotation": 0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.1}
    network = recipe("attention").network.model_dump() | {"freeze_branch": True, "branch": branch}
    tasks = []
    for views in (0, 2):
        torch.manual_seed(0)
        tasks.append(AttentionTask(recipe("attention", network=network, cached_views=views, geometry=still), *examples))
    fresh, cached = tasks
    cached.network.load_state_dict(fresh.network.state_dict())
    rows = torch.tensor([3, 0, 7, 4])
    for split in ("train", "val"):
        for task in tasks:
            task.training_mode()
        figures = [task.figures(split, rows) for task in tasks]
        assert {name: value.item() for name, value in figures[1].items()} == pytest.approx(
            {name: value.item() for name, value in figures[0].items()}, abs=1e-4
        )
        assert cached.embed(split, rows.numpy()) == pytest.approx(fresh.embed(split, rows.numpy()), abs=1e-4)


def test_cached_views_are_drawn_and_computed_once(recipe, examples, cpu, monkeypatch):
    network = recipe("attention").network.model_dump() | {"freeze_branch": True}
    task = AttentionTask(recipe("attention", network=network, cached_views=3), *examples)
    assert len(task.views) == 3 and not torch.equal(task.views[0], task.views[1])
    task.embed("val", np.arange(15))
    monkeypatch.setattr(task.network.branch, "forward", lambda images: pytest.fail("a frozen branch looked again"))
    task.figures("train", torch.arange(8))
    task.figures("val", torch.arange(8))
    task.embed("val", np.arange(15))


def test_views_of_a_branch_that_learns_are_not_cached(recipe):
    with pytest.raises(ValidationError, match="they change unless network.freeze_branch is true"):
        recipe("attention", cached_views=2)


def test_scores_are_the_maximum_over_glimpses_class_by_class(network):
    scores = []
    network.classify.register_forward_hook(lambda *call: scores.append(call[-1]))
    seen, _ = look(network)
    assert len(scores) == 2 and torch.equal(seen.scores, torch.maximum(*scores))


def test_recurrence_carries_what_was_seen(network):
    """The state of the second glimpse changes when the first region is another one."""
    states = []
    network.classify.register_forward_hook(lambda *call: states.append(call[1][0]))
    _, images = look(network)
    network.anchors[0] = torch.tensor([0.4, 0.4])
    network.look(images)
    assert len(states) == 4 and not torch.allclose(states[1], states[3])


def test_vector_of_a_region_is_its_own_texture_whatever_was_seen_before(network):
    _, images = look(network)
    network.of_state.weight.data.zero_()  # the memory of earlier regions does not lead the eye
    network.of_state.bias.data.zero_()
    led = network.look(images)
    network.cell.weight_hh.data.mul_(-3)  # another memory
    assert torch.equal(network.look(images).regions, led.regions)
    assert torch.allclose(led.regions.square().mean(2).sqrt(), torch.ones(2, 2))


def test_every_part_gets_a_gradient(recipe, examples, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    # Two steps: locate's own input weights start at zero, so what is before it learns from the second on.
    optimizer = torch.optim.Adam(task.groups())
    for _ in range(2):
        optimizer.zero_grad()
        task.figures("train", torch.arange(8))["loss"].backward()
        optimizer.step()
    silent = [name for name, weight in task.network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert set(silent) <= {"saliency.bias"}  # softmax over places does not see it


def test_whole_vector_is_pooled_features_and_mean_region_of_unit_length(network):
    seen, images = look(network)
    with torch.no_grad():
        vectors = network(images)
    assert vectors.shape == (2, 8 + 4 * 3)
    assert torch.allclose(vectors[:, :8].norm(dim=1), torch.ones(2))
    mean = seen.regions.mean(1)
    assert torch.allclose(vectors[:, 8:], mean / mean.norm(dim=1, keepdim=True), atol=1e-6)


def test_pictures_are_upright_with_white_around_them():
    data = [encode_jpeg(Image.new("RGB", (60, 30), "black"))]
    image = upright(48).decode(data)[0]
    assert image.shape == (3, 48, 32)
    # 60 x 30 becomes 32 x 16, centred: 16 white rows above and below.
    assert (image[:, :15] == 255).all() and (image[:, 33:] == 255).all() and (image[:, 18:30] < 20).all()
    assert torch.equal(UprightPictures(data * 2, 48).batch([1])[0], image)


def test_region_box_is_cut_at_the_edges():
    assert region_box((0.5, 0.5), (0.0, 0.0), 100, 200) == (25, 50, 75, 150)
    assert region_box((0.5, 0.5), (0.8, -1.0), 100, 200) == (65, 0, 99, 50)
    assert region_box((-0.5, 0.5), (0.0, 0.0), 100, 200) == (25, 50, 75, 150)  # mirrored: the same place


def test_labels_become_a_matrix_and_the_most_frequent_is_the_baseline(recipe, examples, cpu):
    assert label_matrix([["b"], [], ["a", "z"]], ["a", "b"]).tolist() == [[0, 1], [0, 0], [1, 0]]
    task = AttentionTask(recipe("attention"), *examples)
    assert task.names == ["cold", "plain", "shirt", "skirt", "warm"]
    # shirt and skirt are on half of the training rows each; the first is guessed: 6 of 15 validation rows are shirts.
    assert task.chance == {"top_label": pytest.approx(6 / 15)}
    assert most_frequent_share(torch.tensor([[1.0, 0], [1, 1]]), torch.zeros(3, 2)) == 0  # nothing to be right about


def test_labels_are_needed(recipe, examples):
    from dataclasses import replace

    train, val = examples
    with pytest.raises(StageError, match="attention: the training rows know 0 labels"):
        AttentionTask(recipe("attention"), replace(train, labels=[[] for _ in train.ids]), val)


def test_region_distances_by_a_slow_loop():
    draw = np.random.default_rng(0)
    query, gallery = draw.normal(size=(2, 3)), draw.normal(size=(4, 2, 3))
    expected = [[min(np.linalg.norm(region - other) for other in picture) for picture in gallery] for region in query]
    assert region_distances(query, gallery) == pytest.approx(np.array(expected))


def test_regions_take_turns_and_no_picture_comes_twice():
    distances = np.array([[1.0, 2, 3, 4], [1.0, 9, 2, 9]])
    # Region 0: a. Region 1: a is taken, so c. Region 0: b. Region 1: b and d are equal, b is taken: d.
    assert diverse_list(distances, list("abcd"), 4) == [("a", 0), ("c", 1), ("b", 0), ("d", 1)]
    assert diverse_list(distances[:1], list("abcd"), 9) == [("a", 0), ("b", 0), ("c", 0), ("d", 0)]
    assert diverse_list(np.ones((1, 3)), ["z", "x", "y"], 2) == [("x", 0), ("y", 0)]  # equals by id


def test_encoder_gives_whole_pictures_regions_and_recommendations(recipe, examples, tmp_path, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    card = {"kind": "attention", "image_size": 48, "metric": "euclidean", "labels": task.names,
            "network": task.recipe.network.model_dump(mode="json")}  # fmt: skip
    save_encoder(task.network, card, tmp_path)
    encoder = AttentionEncoder(tmp_path)
    images = encoder.pixels.decode(examples[1].data)
    whole, regions = encoder.embed_regions(images)
    assert np.array_equal(encoder.embed(images, [""] * 15), whole)
    assert whole == pytest.approx(task.embed("val", np.arange(15)), abs=1e-5)
    assert np.linalg.norm(regions, axis=2) == pytest.approx(np.ones((15, 2)), abs=1e-5)
    assert encoder.probabilities(images).sum(1) == pytest.approx(np.ones(15), abs=1e-5)
    found = encoder.recommend(images[0], images, examples[1].ids, 4)
    distances = region_distances(encoder.embed_regions(images[:1])[1][0], regions)
    assert found == diverse_list(distances, examples[1].ids, 4)
    assert distances[:, 0] == pytest.approx(distances.min(1), abs=1e-3)  # none is nearer than the picture itself
    assert [region for _, region in found] == [0, 1, 0, 1] and len({name for name, _ in found}) == 4


def test_drawn_sheet_has_a_picture_and_a_map_for_each_glimpse(recipe, examples, tmp_path, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    attention, recommendations = task.draw(tmp_path)
    with Image.open(recommendations) as sheet:
        assert sheet.size == (9 * (128 + 6) - 6, 6 * (192 + 6) - 6)
    with Image.open(attention) as sheet:
        assert sheet.size == (3 * (128 + 6) - 6, 6 * (192 + 6) - 6)
        assert np.asarray(sheet)[:192, 134:262].mean() < np.asarray(sheet)[:192, :128].mean()  # maps dim the picture


def test_recommendations_are_framed_in_the_colour_of_their_region():
    black, grey = (encode_jpeg(Image.new("RGB", (64, 96), color)) for color in ("black", "grey"))
    sheet = recommendation_sheet([black], [[(grey, 0), (black, 1)]])
    assert sheet.size == (3 * (128 + 6) - 6, 192)
    assert sheet.getpixel((1, 1)) == (0, 0, 0)  # the query has no frame
    assert [sheet.getpixel((place * 134 + 1, 1)) for place in (1, 2)] == [COLORS[0], COLORS[1]]
    assert sheet.getpixel((134 + 64, 96))[0] > 100
