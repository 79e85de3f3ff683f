"""What is known of a trained encoder."""

import pytest
import torch
from safetensors.torch import save_file

from stages.core.errors import StageError
from stages.core.files import write_json
from stages.retrieval.evaluate_retrieval import about_encoder, encoder_parameters


def test_parameters_are_all_numbers_of_the_weights_but_statistics_of_batchnorm(tmp_path):
    state = {"conv.weight": torch.zeros(4, 3, 2, 2), "bn.weight": torch.zeros(4), "bn.running_mean": torch.zeros(4),
             "bn.num_batches_tracked": torch.zeros((), dtype=torch.long), "scale": torch.zeros(())}  # fmt: skip
    save_file(state, tmp_path / "weights.safetensors")
    (tmp_path / "encoder.json").write_text('{"image_size": 96, "epoch": 0}')
    assert about_encoder(tmp_path) == {"parameters": 4 * 3 * 2 * 2 + 4 + 1, "image_size": 96, "kept_epoch": 0}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"val_hit_at_1": 0.5, "val_hit_at_1_before": 0.75, "val_knn": 0.5, "val_knn_before": 0.25},
         {"figure": "hit@1", "before": 0.75, "kept": 0.5}),
        ({"val_knn": 0.5, "val_knn_before": 0.25}, {"figure": "k-NN accuracy", "before": 0.25, "kept": 0.5}),
        ({"val_knn": 0.5, "best_epoch": 2}, None),
    ],
    ids=["items are known", "categories alone", "its start was not scored"],
)  # fmt: skip
def test_what_training_made_of_an_encoder_on_validation(scores, expected, tmp_path):
    write_json(tmp_path / "scores.json", scores)
    assert about_encoder(tmp_path).get("on_validation") == expected


def test_an_encoder_without_files_of_its_own_says_nothing(tmp_path):
    assert about_encoder(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{]", b'\x0d\0\0\0\0\0\0\0{"a": {"b":1}}'])
def test_weights_that_are_no_safetensors_file_are_refused(tmp_path, content):
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(StageError, match="weights.safetensors: not a safetensors file"):
        encoder_parameters(tmp_path)
