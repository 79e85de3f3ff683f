"""Networks of the metric encoders: shapes, pooling, unit length."""

import torch

from stages.networks.encoders.metric_learning import Ensemble, FeatureRelaxation, Fir, Siamese

MEMBERS = [{"backbone": "test_resnet", "pooling": "average"}, {"backbone": "test_resnet", "pooling": "stages"}]


def test_average_of_unit_vectors_of_one_width(cpu):
    network = Ensemble(MEMBERS, ("none", "none"), 32).eval()
    assert network.width == 96 and network.wider == 1
    network.columns.copy_(torch.arange(96) * 2)
    network.share.fill_(0.25)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        first, second = network.members[0](images), network.members[1](images)[:, ::2][:, :96]
        expected = 0.25 * first / first.norm(dim=1, keepdim=True) + 0.75 * second / second.norm(dim=1, keepdim=True)
        assert torch.allclose(network(images), expected, atol=1e-5)


def test_relaxation_is_conv_relu_dropout_conv_and_the_mean_over_places():
    torch.manual_seed(0)
    module = FeatureRelaxation(3, 4, 0.5, 2).eval()
    first, relu, dropout, second = module.layers
    assert (relu.__class__.__name__, dropout.p) == ("ReLU", 0.5)
    maps = torch.randn(1, 3, 2, 2)
    logits = torch.zeros(2)
    for y in range(2):
        for x in range(2):
            hidden = (first.weight[:, :, 0, 0] @ maps[0, :, y, x] + first.bias).clamp(min=0)
            logits += (second.weight[:, :, 0, 0] @ hidden + second.bias) / 4
    assert torch.allclose(module(maps)[0], logits, atol=1e-6)
    assert not torch.equal(module.train()(maps), module(maps))  # dropout


def test_vectors_are_pooled_maps_of_unit_length_on_both_paths(cpu):
    network = Fir("test_resnet", "none", 32, ["a", "b"], 4, 0.5).eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        pooled = network.maps(images).mean((2, 3))
        vectors, logits = network.both(images)
        assert torch.allclose(vectors, pooled / pooled.norm(dim=1, keepdim=True), atol=1e-6)
        assert torch.equal(vectors, network(images)) and logits.shape == (3, 2)


def test_dense_layer_starts_orthogonal():
    weight = Siamese("test_resnet", "none", 32, "max", 5).dense.weight.detach()
    assert torch.allclose(weight @ weight.T, torch.eye(5), atol=1e-5)


def test_both_branches_are_one_and_its_vector_is_dense_of_normalized_maxima(cpu):
    branch = Siamese("test_resnet", "none", 32, "max", 5).eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        largest = branch.pooled.maps(images).amax((2, 3))
        expected = largest / largest.norm(dim=1, keepdim=True) @ branch.dense.weight.T + branch.dense.bias
        assert torch.allclose(branch(images), expected, atol=1e-5)
    assert not any(weight.requires_grad for weight in branch.pooled.parameters())
