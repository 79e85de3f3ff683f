"""SimCLR: the loss, the rate, one epoch, k-NN on frozen features, and a killed training that goes on."""

import math
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from stages.core.tables import write_rows
from stages.encoders import simclr
from stages.encoders.knn import knn_accuracy, majority_share
from stages.encoders.pictures import Pictures
from stages.encoders.simclr import KnnProbe, SimclrParams, _build, cosine_rate, train_epoch

PARAMS = {
    "backbone": "test_resnet", "weights": "none", "image_size": 32, "epochs": 4, "batch": 6, "temperature": 0.1,
    "projection_hidden": 32, "projection_out": 16, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.0005,
    "geometry": {"flip": 0.5, "rotation": 10, "min_scale": 0.8, "mask": 0.2, "mask_share": 0.1},
    "knn_every": 1, "knn_k": 1, "knn_head": "type", "seed": 0,
}  # fmt: skip


def test_nt_xent_by_a_slow_loop():
    """Chen et al. 2020, equation 1, with both views of a row as each other's positive."""
    from lightly.loss import NTXentLoss

    torch.manual_seed(0)
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    rows = [vector / vector.norm() for vector in torch.cat([first, second])]
    total = 0.0
    for i in range(10):
        j = (i + 5) % 10
        exps = {k: math.exp(float(rows[i] @ rows[k]) / 0.1) for k in range(10) if k != i}
        total -= math.log(exps[j] / sum(exps.values()))
    assert NTXentLoss(temperature=0.1)(first, second).item() == pytest.approx(total / 10, rel=1e-5)


def test_rate_is_half_a_cosine():
    assert cosine_rate(0, 100, 0.2) == 0.2
    assert cosine_rate(50, 100, 0.2) == pytest.approx(0.1)
    assert cosine_rate(25, 100, 0.2) == pytest.approx(0.2 * (0.5 + math.sqrt(2) / 4))
    assert cosine_rate(100, 100, 0.2) == pytest.approx(0)


def train(crops, epochs=1, **changes):
    torch.manual_seed(0)
    params = SimclrParams.model_validate(PARAMS | changes)
    parts = _build(params)
    start = {name: value.clone() for name, value in parts.backbone.state_dict().items()}
    losses = [
        train_epoch(parts, Pictures(crops, 32), params, epoch, len(crops) // params.batch) for epoch in range(epochs)
    ]
    return losses, start, parts


def test_epoch_changes_the_weights_and_repeats_to_the_bit(crops, cpu):
    losses, start, parts = train(crops)
    again, _, other = train(crops)
    assert losses == again
    state = parts.backbone.state_dict()
    assert all(torch.equal(state[name], value) for name, value in other.backbone.state_dict().items())
    name, weight = next(iter(parts.backbone.named_parameters()))
    assert not torch.equal(weight, start[name])


def test_loss_goes_down_on_a_tiny_set(crops, cpu):
    losses, _, _ = train(crops[:6], epochs=8, learning_rate=0.02, geometry=PARAMS["geometry"] | {"mask": 0})
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-2:]) < losses[0]


def test_both_views_pass_in_one_forward_call(crops, cpu):
    params = SimclrParams.model_validate(PARAMS)
    parts = _build(params)
    seen = []
    parts.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[0]))
    train_epoch(parts, Pictures(crops, 32), params, 0, 2)
    assert seen == [12, 12]


def test_knn_accuracy_by_hand():
    train = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 2.0]], np.float32)
    labels = np.array(["a", "a", "b", "b"])
    val = np.array([[5, 0.1], [0.1, 5], [1, 0.2]], np.float32)
    assert knn_accuracy(train, labels, val, np.array(["a", "b", "b"]), 1) == pytest.approx(2 / 3)
    assert knn_accuracy(train, labels, val, np.array(["a", "b", "a"]), 3) == 1


def test_votes_are_weighted_by_similarity():
    # k = 3: one neighbour "a" at cosine 1 (vote 2), two "b" at cosine about -1 (votes near 0): "a" wins.
    train = np.array([[1, 0], [-1, 0.01], [-1, -0.01]], np.float32)
    assert knn_accuracy(train, np.array(["a", "b", "b"]), np.array([[1.0, 0]], np.float32), np.array(["a"]), 3) == 1


def test_knn_agrees_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(0)
    labels, val_labels = draw.choice(list("abc"), 60), draw.choice(list("abc"), 700)
    train, val = draw.normal(size=(60, 5)), draw.normal(size=(700, 5))
    model = KNeighborsClassifier(7, metric="cosine", weights=lambda distance: 2 - distance).fit(train, labels)
    assert knn_accuracy(train, labels, val, val_labels, 7) == pytest.approx(model.score(val, val_labels))


def test_more_neighbours_than_rows_and_no_rows_to_score():
    train = np.eye(2, dtype=np.float32)
    assert knn_accuracy(train, np.array(["a", "b"]), train, np.array(["a", "b"]), 10) == 1
    assert knn_accuracy(train, np.array(["a", "b"]), np.zeros((0, 1)), np.array([]), 1) == 0


def test_majority_share_by_hand():
    assert majority_share(np.array(["a", "a", "b"]), np.array(["a", "b", "a", "a"])) == 0.75
    assert majority_share(np.array([]), np.array(["a"])) == 0


def test_probe_uses_only_rows_that_know_the_label(crops, cpu):
    frame = pd.DataFrame({"bytes": crops, "type": ["a", "b", "c", None, "a", "b"] * 2})
    train, val = frame[:8].reset_index(drop=True), frame[6:].reset_index(drop=True)
    params = SimclrParams.model_validate(PARAMS)
    probe = KnnProbe(train, val, Pictures(list(train["bytes"]), 32), params)
    assert list(probe.rows) == [0, 1, 2, 4, 5, 6, 7]
    assert list(probe.val_labels) == ["a", "b", "c", "a", "b"]
    # Rows 6.. repeat the colours 0..5 with the same labels: the nearest neighbour is the picture itself.
    score = probe.accuracy(_build(params).backbone)
    assert score == 1


class Killed(BaseException):
    """What no handler in the code under test may swallow."""


@pytest.fixture
def stage(crops, cpu, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs and the epochs that it trained."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    rows = [
        {"crop_id": f"{number:02}", "bytes": data, "split": split, "type": "abc"[number % 3]}
        for split in ("train", "val") for number, data in enumerate(crops)
    ]  # fmt: skip
    schema = pa.schema(
        [("crop_id", pa.string()), ("bytes", pa.binary()), ("split", pa.string()), ("type", pa.string())]
    )
    write_rows(tmp_path / "dataset" / "shard-0000.parquet", schema, rows)
    views, epochs = simclr.random_view, []

    def train_epoch(parts, pictures, params, epoch, steps):
        epochs.append(epoch)
        return epoch_of_the_stage(parts, pictures, params, epoch, steps)

    epoch_of_the_stage = simclr.train_epoch
    monkeypatch.setattr(simclr, "train_epoch", train_epoch)

    def run(out, kill_at_view=None, **changes):
        left = iter(range(kill_at_view if kill_at_view is not None else 10**6))

        def random_view(images, geometry):
            if next(left, None) is None:
                raise Killed
            return views(images, geometry)

        monkeypatch.setattr(simclr, "random_view", random_view)
        epochs.clear()
        params = SimpleNamespace(simclr=SimclrParams.model_validate(PARAMS | {"knn_every": 3} | changes))
        report = simclr.main(Namespace(dataset=tmp_path / "dataset", out=tmp_path / out), params)
        files = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
        return {name: (tmp_path / out / name).read_bytes() for name in files}, report

    yield run, epochs, tmp_path / ".work" / "pretrain"
    torch.use_deterministic_algorithms(False)


def test_killed_training_goes_on_and_ends_with_the_same_bytes(stage, capsys):
    run, epochs, work = stage
    unbroken = run("unbroken")
    assert epochs == [0, 1, 2, 3] and not list(work.iterdir())
    # An epoch has two steps of two views each: killed in the second step of epoch 1, then in the first of epoch 3.
    for views, started in ((6, [0, 1]), (9, [1, 2, 3])):
        with pytest.raises(Killed):
            run("broken", kill_at_view=views)
        assert epochs == started
    capsys.readouterr()
    assert run("broken") == unbroken
    assert epochs == [3]
    assert "simclr: resumed after epoch 3 of 4\n" in capsys.readouterr().err
    assert not list(work.iterdir())


def test_changed_params_or_crops_start_over(stage, capsys):
    run, epochs, work = stage
    with pytest.raises(Killed):
        run("out", kill_at_view=6)
    run("out", epochs=2, momentum=0.8)
    assert epochs == [0, 1]
    shard = work.parents[1] / "dataset" / "shard-0000.parquet"
    table = pa.parquet.read_table(shard)
    pa.parquet.write_table(table.slice(1), shard)
    run("out", epochs=2)
    assert epochs == [0, 1]
    assert "resumed" not in capsys.readouterr().err
    assert len(list(work.iterdir())) == 1  # of the killed one; it would still be right for its own inputs


def test_damaged_checkpoint_is_trained_again(stage, capsys):
    run, epochs, work = stage
    unbroken = run("unbroken", epochs=2)
    with pytest.raises(Killed):
        run("broken", kill_at_view=6, epochs=2)
    (file,) = work.glob("*/checkpoint")
    file.write_bytes(file.read_bytes()[:-100])
    assert run("broken", epochs=2) == unbroken
    assert epochs == [0, 1] and "damaged and ignored" in capsys.readouterr().err
