"""The published SimCLR recipe as profile paper has it, and one step of it at full size."""

from pathlib import Path

import pytest
import torch

from profiles import composed
from stages.core.params import section
from stages.learning.acceleration import RuntimeParams
from stages.learning.distributed import Group
from stages.learning.loop import train_epoch
from stages.simclr.model import SimclrParams, build
from stages.simclr.pretrain import SimclrTask

PAPER = Path("profiles/paper.yaml")  # for messages


@pytest.fixture
def paper():
    content = composed("paper")
    return section(SimclrParams, "simclr", content, PAPER), section(RuntimeParams, "runtime", content, PAPER)


def test_profile_is_the_published_recipe(paper):
    """What the publication names; the rest of the section says where it comes from in its comments."""
    params, runtime = paper
    assert (params.backbone, params.projection_hidden, params.projection_out) == ("resnet101", 2048, 512)
    assert (params.loss, params.batch, params.image_size, params.epochs) == ("nt_xent", 32, 256, 30)
    assert (params.learning_rate, params.momentum, params.weight_decay) == (2e-2, 0.9, 5e-4)
    assert params.geometry.flip and params.geometry.rotation and params.geometry.mask
    assert set(params.color.model_dump().values()) == {0}
    assert params.keep == "last"
    assert (runtime.precision, runtime.channels_last, runtime.compile) == ("bfloat16", True, True)


@pytest.mark.slow
def test_published_network_takes_one_step(paper, cpu):
    """In float32 and not compiled: tests hide the instructions that bfloat16 needs, and compiling takes minutes.

    Both have tests of their own (tests/unit/core/test_acceleration.py).
    """
    params = paper[0].model_copy(update={"batch": 2, "epochs": 1})
    runtime = paper[1].model_copy(update={"precision": "float32", "compile": False})
    parts = build(params, runtime, Group())
    assert parts.backbone.width == 2048
    shapes = {}
    parts.backbone.register_forward_hook(
        lambda module, given, result: shapes.update(input=given[0].shape, features=result.shape)
    )
    parts.head.register_forward_hook(lambda module, given, result: shapes.update(projections=result.shape))
    before = {name: weight.detach().clone() for name, weight in parts.network.named_parameters()}

    class TwoPictures:
        def __len__(self):
            return 2

        def batch(self, rows):
            return torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)[rows]

    loss = train_epoch(SimclrTask(parts, TwoPictures(), params), 0)["train_loss"]
    assert shapes == {"input": (4, 3, 256, 256), "features": (4, 2048), "projections": (4, 512)}
    assert 0 < loss < float("inf")
    # timm starts the last scale of every residual block at 0, so at first nothing but that scale learns in a block.
    learned = [
        name for name in before if name.endswith("bn3.weight") or name.startswith(("backbone.network.conv1", "head"))
    ]
    assert len(learned) > 33
    after = dict(parts.network.named_parameters())
    assert [name for name in learned if torch.equal(after[name], before[name])] == []
