"""The frozen recipe: the extractor as its weights come, and scores that are those of its vectors."""

import pytest
import torch

from stages.encoders import frozen
from stages.encoders.recipe_task import Run
from stages.encoders.validation import chance_at_1, hit_at_1
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.backbones import Extractor
from stages.networks.backbones.features import Pictures, embed_pictures


@pytest.fixture
def fitted(recipe, examples, cpu, tmp_path):
    return frozen.fit(recipe("frozen"), *examples, Run("mine", Checkpoints(tmp_path, "key")))


def test_network_is_an_extractor_with_the_weights_that_it_came_with(fitted):
    torch.manual_seed(0)  # as the fixture that seeds does
    fresh = Extractor("test_resnet", "none", 32, "average").state_dict()
    state = fitted.network.state_dict()
    assert list(state) == list(fresh)
    assert all(torch.equal(value, fresh[name]) for name, value in state.items())


def test_scores_are_those_of_its_vectors_on_validation(fitted, examples):
    vectors = embed_pictures(fitted.network, Pictures(examples[1].data, 32), 8)
    ((row, *more), header) = (fitted.history, fitted.header)
    assert more == [] and header[0] == "epoch" and row[0] == 0
    scores = dict(zip(header, row, strict=True))
    assert scores["val_hit_at_1"] == pytest.approx(hit_at_1(vectors, examples[1].items, "cosine"))
    # Nothing is trained: after is before, and chance stands beside both.
    assert fitted.scores["val_hit_at_1"] == fitted.scores["val_hit_at_1_before"] == scores["val_hit_at_1"]
    assert fitted.scores["val_hit_at_1_chance"] == pytest.approx(chance_at_1(examples[1].items))


def test_card_says_what_loads_it_again(fitted):
    assert fitted.card == {
        "kind": "frozen", "metric": "cosine", "backbone": "test_resnet", "pooling": "average", "image_size": 32,
    }  # fmt: skip
