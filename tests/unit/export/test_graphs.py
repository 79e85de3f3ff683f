"""Networks as ONNX: equal bytes, no trace of the machine, and a file that computes something else is refused."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_models import classifier_params, noisy_detector, small_network
from torch import nn

from stages.core.errors import StageError
from stages.export import graphs
from stages.export.graphs import ClassifierGraph, DetectorGraph, EncoderGraph, write_graph
from stages.networks.classifier import encode_detected

OUTPUTS = ["embedding", "logits_type", "logits_color"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["detector", "classifier"])
def test_same_weights_give_the_same_bytes_without_date_path_or_maker(cpu, tmp_path, kind):
    made = []
    for name in ("a.onnx", "b.onnx"):
        if kind == "detector":
            made.append(write_graph(DetectorGraph(noisy_detector()), (96, 96), ["boxes"], tmp_path / name))
        else:
            graph = ClassifierGraph(small_network(classifier_params()))
            made.append(write_graph(graph, (48, 48), OUTPUTS, tmp_path / name))
    assert made[0] == made[1]
    data = (tmp_path / "a.onnx").read_bytes()
    assert data == (tmp_path / "b.onnx").read_bytes()
    assert not re.search(rb"/(work|tmp|home|root)/|\.py\b|pytorch|20\d\d-\d\d", data)
    model = onnx.load(tmp_path / "a.onnx")
    assert (model.producer_name, model.producer_version, len(model.metadata_props)) == ("seamline", "", 0)


@pytest.mark.parametrize(
    ("kind", "pooling"), [("scalar", "stages_colors"), ("onehot", "stages_colors"), ("none", "stages_grid")]
)
def test_classifier_takes_the_number_of_the_detected_class(cpu, tmp_path, kind, pooling):
    colors = ["color"] if pooling == "stages_colors" else []
    network = small_network(classifier_params(detector_class=kind, pooling=pooling, color_heads=colors))
    write_graph(ClassifierGraph(network), (48, 48), OUTPUTS, tmp_path / "c.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "c.onnx"))
    assert [one.name for one in session.get_inputs()] == ["image", "detected"]
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 48, 48), np.uint8)
    vectors = []
    for number, name in enumerate([*network.superclasses, "none"]):
        vector, *logits = session.run(None, {"image": image, "detected": np.array([number])})
        with torch.inference_mode():
            known = encode_detected(kind, [name], network.superclasses)
            expected = network.embedding(torch.from_numpy(image), known)
            own = network(torch.from_numpy(image), known)
        assert vector == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4)
        for head, values in zip(network.classes, logits, strict=True):
            assert values == pytest.approx(own[head].numpy(), rel=1e-3, abs=1e-4)
        vectors.append(vector[0])
    assert len({tuple(vector) for vector in vectors}) == (1 if kind == "none" else 8)


class Randomly(nn.Module):
    """Computes something else each time."""

    def forward(self, image):
        return image.mean((2, 3)) + torch.rand(1, 3) * 1000


class Hooked(nn.Module):
    """Has an operation that is not in ONNX."""

    def forward(self, image):
        return torch.linalg.eigvals(image.mean((0, 1))).real[None]


def test_file_that_computes_something_else_is_refused(cpu, tmp_path):
    with pytest.raises(StageError, match="r.onnx: output embedding differs from the network's"):
        write_graph(EncoderGraph(Randomly()), (8, 8), ["embedding"], tmp_path / "r.onnx")


def test_operation_that_is_not_in_onnx_is_one_message(cpu, tmp_path):
    with pytest.raises(StageError, match="h.onnx: cannot be written as ONNX: ") as caught:
        write_graph(EncoderGraph(Hooked()), (8, 8), ["embedding"], tmp_path / "h.onnx")
    assert "\n" not in str(caught.value)


def test_tolerance_is_far_below_what_changes_a_label():
    assert graphs.TOLERANCE <= 1e-3
