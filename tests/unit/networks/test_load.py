"""Trained encoders found by the kind that their card names."""

import numpy as np
import pytest
import torch
from small import PLAIN_RUNTIME

from stages.core.errors import StageError
from stages.core.files import write_json
from stages.learning.acceleration import RuntimeParams, SmallMapConv2d
from stages.networks.backbones.backbones import Extractor
from stages.networks.backbones.features import save_encoder
from stages.networks.encoders.kinds import card_of
from stages.networks.load import load_encoder


def test_encoder_comes_back_from_its_folder(tmp_path, crops, cpu):
    network = Extractor("test_resnet", "none", 32, "average").eval()
    save_encoder(network, card_of("frozen", backbone="test_resnet", pooling="average", image_size=32), tmp_path)
    encoder = load_encoder(tmp_path)
    images = encoder.pixels.decode(crops[:2])
    with torch.inference_mode():
        expected = network(images).numpy()
    assert encoder.metric == "cosine"
    np.testing.assert_allclose(encoder.embed(images, ["", ""]), expected, rtol=0, atol=1e-5)


def test_runtime_computes_small_maps_by_matrix_products(tmp_path, cpu):
    network = Extractor("resnet18", "none", 32, "average")
    save_encoder(network, card_of("frozen", backbone="resnet18", pooling="average", image_size=32), tmp_path)
    for last in (False, True):
        encoder = load_encoder(tmp_path, RuntimeParams(**PLAIN_RUNTIME | {"channels_last": last}))
        assert any(isinstance(layer, SmallMapConv2d) for layer in encoder.network.modules()) is last


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            {"metric": "cosine", "image_size": 32},
            r"encoder.json: kind None, expected one of: attention, .*Run `dvc repro`",
        ),
        ({"kind": "frozen", "metric": "cosine", "image_size": 32}, r"encoder.json: key 'backbone' is missing"),
    ],
)
def test_damaged_card_is_one_message(tmp_path, card, message):
    write_json(tmp_path / "encoder.json", card)
    with pytest.raises(StageError, match=message):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").unlink()
    with pytest.raises(StageError, match="encoder.json: no such file"):
        load_encoder(tmp_path)
