"""Trained networks as ONNX files of the same bytes in every run, each compared with its network before it is kept.

Every graph takes one uint8 picture [1, 3, height, width] and normalizes it itself. Its outputs are what
stages/export/reader.py needs: boxes and scores, or a vector and the logits of each head.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stages.core.errors import StageError
from stages.networks.classifier import MultiHead, encode_detected

OPSET = 17  # onnxruntime samples grids of 16 to 19, those of 20 not on a CPU
TOLERANCE = 1e-3  # largest difference of an output, as a share of its largest number
BOXES, VECTOR, LOGITS = "boxes", "embedding", "logits_"  # names of outputs; a head's is LOGITS and its name


class DetectorGraph(nn.Module):
    """uint8 letterboxed picture -> center, width, height and score of each class, [1, 4 + classes, positions]."""

    def __init__(self, network: Any) -> None:
        """``network`` is Ultralytics', in evaluation mode."""
        super().__init__()
        self.network = network.fuse(verbose=False)
        self.network.model[-1].export = True  # the head then returns its predictions alone

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The picture's predictions."""
        return self.network(image.float() / 255)


class ClassifierGraph(nn.Module):
    """uint8 crop and number of its detected class -> vector [1, d] and the logits of every head."""

    def __init__(self, network: MultiHead) -> None:
        """``network`` is in evaluation mode."""
        super().__init__()
        self.network = network
        names = [*network.superclasses, ""]  # the last one stands for all other classes, such as "none"
        self.register_buffer("encoded", encode_detected(network.kind, names, network.superclasses))

    def forward(self, image: torch.Tensor, detected: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The vector, then the logits in the order of ``network.classes``."""
        features, known = self.network.backbone(image.float()), self.encoded[detected]
        logits = self.network.logits_of(features, known)
        return self.network.embedding_of(features, known), *(logits[head] for head in self.network.classes)


class EncoderGraph(nn.Module):
    """uint8 crop -> its vector [1, d]."""

    def __init__(self, network: nn.Module) -> None:
        """``network`` is in evaluation mode."""
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The crop's vector."""
        return self.network(image.float())


@contextmanager
def plain_grids() -> Iterator[None]:
    """Replace torch's affine_grid by a matrix product, because ONNX has no such operation in this operator set."""
    own = nn.functional.affine_grid

    def grid(theta: torch.Tensor, size: Sequence[int], align_corners: bool | None = None) -> torch.Tensor:
        height, width = int(size[-2]), int(size[-1])
        plain = own(torch.eye(2, 3)[None], [1, 1, height, width], align_corners)
        places = torch.cat([plain, torch.ones(1, height, width, 1)], 3).view(1, -1, 3)
        return (places @ theta.transpose(1, 2)).view(-1, height, width, 2)

    nn.functional.affine_grid = grid
    try:
        yield
    finally:
        nn.functional.affine_grid = own


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute torch's MultiheadAttention by single operations: ONNX has none for its fused one."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def write_graph(graph: nn.Module, size: tuple[int, int], outputs: Sequence[str], path: Path) -> str:
    """Write a graph for pictures of ``size`` (height, width) as ONNX; returns the file's SHA-256.

    Raises:
        StageError: an operation of the network is not in ONNX, or the file computes something else than the network.
    """
    names = ["image", "detected"] if isinstance(graph, ClassifierGraph) else ["image"]
    noise = np.random.default_rng(0).integers(0, 256, (1, 3, *size), np.uint8)
    noise[:, :, :2] = 255  # a border, as padded crops have it
    feed = {"image": noise, "detected": np.array([1])}
    inputs = tuple(torch.from_numpy(feed[name]) for name in names)
    graph.eval()  # the exporter gives every part the mode of the whole
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        plain_grids(),
        plain_attention(),
    ):  # the whole graph, on an error
        warnings.simplefilter("ignore")  # of sizes that become constants, as they are
        result = graph(*inputs)
        expected = [result] if isinstance(result, torch.Tensor) else list(result)
        # `a |= b` of the color histogram
        torch.onnx.register_custom_op_symbolic("aten::__ior_", lambda g, a, b: g.op("Or", a, b), OPSET)
        try:
            # The other exporter (dynamo) needs two more packages and writes the names of our files into the graph.
            torch.onnx.export(graph, inputs, str(path), input_names=names, output_names=list(outputs),
                              opset_version=OPSET, dynamo=False)  # fmt: skip
        except Exception as error:
            raise StageError(f"{path.name}: cannot be written as ONNX: {_first_line(error)}") from None
    _clean(path)
    _compare(path, {name: feed[name] for name in names}, [value.numpy() for value in expected])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _clean(path: Path) -> None:
    """Convert doubles to floats, as in the network, and remove metadata about where and by what the file was made."""
    import onnx
    from onnx import TensorProto, numpy_helper

    model = onnx.load(path)
    nodes = model.graph.node
    values = [attribute.t for node in nodes if node.op_type == "Constant" for attribute in node.attribute]
    for value in (*model.graph.initializer, *values):
        if value.data_type == TensorProto.DOUBLE:
            value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float32), value.name))
    for output in model.graph.output:
        output.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in nodes:
        node.doc_string = ""
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.DOUBLE:
                attribute.i = TensorProto.FLOAT
    model.producer_name, model.producer_version, model.doc_string = "seamline", "", ""
    del model.metadata_props[:], model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _compare(path: Path, feed: dict[str, np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Raise StageError unless the file's outputs equal the network's within TOLERANCE."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    used = {attribute.name for attribute in session.get_inputs()}
    computed = session.run(None, {name: value for name, value in feed.items() if name in used})
    for output, ours, own in zip(session.get_outputs(), expected, computed, strict=True):
        if ours.shape != own.shape or np.abs(ours - own).max() > TOLERANCE * np.abs(ours).max():
            raise StageError(
                f"{path.name}: output {output.name} differs from the network's, so the file is not written. "
                "Choose another encoder (ENCODER=), or report it with the versions of torch and onnxruntime."
            )
