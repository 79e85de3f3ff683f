"""Trained encoders found by the kind that their card names."""

import numpy as np
import pytest
import torch
from small import PLAIN_RUNTIME

from stages.core.errors import StageError
from stages.core.files import write_json
from stages.learning.acceleration import RuntimeParams
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
    assert np.array_equal(encoder.embed(images, ["", ""]), expected)


def test_runtime_lays_the_network_out_in_memory(tmp_path, cpu):
    network = Extractor("test_resnet", "none", 32, "average")
    save_encoder(network, card_of("frozen", backbone="test_resnet", pooling="average", image_size=32), tmp_path)
    for last in (False, True):
        encoder = load_encoder(tmp_path, RuntimeParams(**PLAIN_RUNTIME | {"channels_last": last}))
        weights = [weight for weight in encoder.network.parameters() if weight.dim() == 4 and weight.shape[1] > 1]
        kept = [weight.is_contiguous(memory_format=torch.channels_last) for weight in weights if weight.shape[2] > 1]
        assert kept and all(one is last for one in kept)


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
