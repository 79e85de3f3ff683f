"""The training loops that bench/simclr.py compares: lightly's tutorial, and ours with several params ``runtime``."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
import torchvision
from lightly.data import LightlyDataset
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from lightly.transforms.utils import IMAGENET_NORMALIZE
from PIL import Image
from torch import nn

from bench.memory import family
from stages.contracts.images import decode
from stages.core.determinism import seed_everything, start_process
from stages.core.log import show_log
from stages.learning.acceleration import RuntimeParams
from stages.learning.augment import ColorParams, GeometryParams
from stages.learning.distributed import Group
from stages.learning.loop import train_epoch
from stages.networks.backbones.features import Pictures
from stages.simclr.model import SimclrParams, build
from stages.simclr.pretrain import SimclrTask

log = logging.getLogger(__name__)

SIDE, BATCH = 64, 128
TEMPERATURE, RATE, MOMENTUM, DECAY = 0.5, 0.06, 0.9, 5e-4  # lightly's tutorial
HELD_OUT = 8  # every 8th photo is held out; all loops are compared by the loss on its views
TARGET = 2.0
LIGHTLY, LIGHTLY_16 = "lightly's tutorial", "lightly's tutorial, bfloat16"
SHOWN_LOSSES = 6  # of a loop, evenly spaced over its epochs
OURS = {
    "ours, float32": {"precision": "float32", "channels_last": False},
    "ours, float32, channels_last": {"precision": "float32", "channels_last": True},
    "ours, bfloat16, channels_last": {"precision": "bfloat16", "channels_last": True},
}


class Loop(Protocol):
    """One way to train."""

    def epoch(self, number: int) -> float:
        """Train one epoch; mean loss."""
        ...

    def projections(self, views: torch.Tensor) -> torch.Tensor:
        """Of views as lightly's transform gives them, [n, 3, side, side] normalized."""
        ...


class Tutorial:
    """lightly's SimCLR example: PIL transforms in a DataLoader, one forward pass for each view.

    Args:
        start: initial weights of another tutorial loop; this one then trains in bfloat16 (autocast), unlike the
            tutorial.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        epochs: int,
        batch: int = BATCH,
        side: int = SIDE,
        workers: int = 0,
        start: "Tutorial | None" = None,
    ) -> None:
        self.half = start is not None
        resnet = torchvision.models.resnet18()
        self.backbone = nn.Sequential(*list(resnet.children())[:-1])
        self.head = SimCLRProjectionHead(512, 512, 128)
        if start is not None:
            resnet.load_state_dict(start.start, strict=False)
            self.head.load_state_dict(start.head.state_dict())
        self.start = {name: value.clone() for name, value in resnet.state_dict().items() if not name.startswith("fc.")}
        names = [path.name for path in photos]
        dataset = LightlyDataset(str(photos[0].parent), transform=SimCLRTransform(input_size=side), filenames=names)
        self.loader = torch.utils.data.DataLoader(
            dataset, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.criterion = NTXentLoss(temperature=TEMPERATURE)
        weights = [*self.backbone.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(weights, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)

    def _project(self, views: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(views).flatten(start_dim=1))

    def epoch(self, number: int) -> float:
        """Train one epoch; mean loss."""
        self.backbone.train()
        self.head.train()
        total = 0.0
        for views, _, _ in self.loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
                both = [self._project(view) for view in views]
            loss = self.criterion(both[0].float(), both[1].float())
            total += loss.item()
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.schedule.step()
        return total / len(self.loader)

    @torch.inference_mode()
    def projections(self, views: torch.Tensor) -> torch.Tensor:
        """Of views as lightly's transform gives them, [n, 3, side, side] normalized."""
        self.backbone.eval()
        self.head.eval()
        return self._project(views)


class Ours:
    """This project's epoch, from the tutorial's initial weights."""

    def __init__(
        self,
        photos: Sequence[Path],
        epochs: int,
        tutorial: Tutorial,
        runtime: dict,
        batch: int = BATCH,
        side: int = SIDE,
    ) -> None:
        self.photos = photos
        self.params = simclr_params(epochs, batch, side)
        off = dict.fromkeys(("deterministic", "pin_instruction_set", "compile"), False)
        alone = {"threads": None, "processes": 1, "engine": "local", "gpus": 0}
        options = RuntimeParams.model_validate({**alone, **off, **runtime})
        self.built = build(self.params, options, Group())
        self.built.backbone.network.load_state_dict(tutorial.start)  # names are torchvision's, too
        self.built.head.load_state_dict(tutorial.head.state_dict())
        self.task: SimclrTask | None = None

    def epoch(self, number: int) -> float:
        """Train one epoch, the first with decoding; mean loss."""
        if self.task is None:
            pictures = Pictures([path.read_bytes() for path in self.photos], self.params.image_size)
            self.task = SimclrTask(self.built, pictures, self.params)
        return train_epoch(self.task, number)["train_loss"]

    @torch.inference_mode()
    def projections(self, views: torch.Tensor) -> torch.Tensor:
        """Of views as lightly's transform gives them, [n, 3, side, side] normalized."""
        self.built.network.eval()
        mean, std = (torch.tensor(IMAGENET_NORMALIZE[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        return self.built.network((views * std + mean) * 255)


def simclr_params(epochs: int, batch: int, side: int) -> SimclrParams:
    """The tutorial's training as section ``simclr``: crops, flips and colors as in lightly, without blur."""
    return SimclrParams(
        backbone="resnet18", weights="none", image_size=side, epochs=epochs, batch=batch, loss="nt_xent",
        temperature=TEMPERATURE, projection_hidden=512, projection_out=128,
        learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY,
        geometry=GeometryParams(flip=0.5, rotation=0, min_scale=0.08, mask=0, mask_share=0),
        color=ColorParams(probability=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, grayscale=0.2),
        keep="last", knn_every=1, knn_k=10, knn_head="type", seed=0,
    )  # fmt: skip


@dataclass
class Record:
    """Results of one loop: seconds, CPU seconds and loss of each epoch; loss on held-out views, first untrained."""

    images: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)

    def rate(self, times: list[float]) -> float:
        """Images a second over all epochs."""
        return self.images * len(times) / sum(times)


def cpu_seconds() -> float:
    """CPU time of this process and its descendants, with loaders."""
    ticks = 0
    for pid in family(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def held_out_views(photos: Sequence[Path], side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of each photo by lightly's transform, the same for all loops."""
    transform = SimCLRTransform(input_size=side)
    pairs = [transform(Image.open(path).convert("RGB")) for path in photos]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


def contest(
    loops: dict[str, Loop], images: int, epochs: int, views: tuple[torch.Tensor, torch.Tensor]
) -> dict[str, Record]:
    """Let the loops take turns, one epoch each."""
    judge = NTXentLoss(temperature=TEMPERATURE)
    records = {name: Record(images) for name in loops}
    for name, loop in loops.items():
        records[name].held_out.append(judge(*map(loop.projections, views)).item())
    for epoch in range(epochs):
        for name, loop in loops.items():
            record = records[name]
            start, cpu = time.perf_counter(), cpu_seconds()
            record.losses.append(loop.epoch(epoch))
            record.seconds.append(time.perf_counter() - start)
            record.cpu.append(cpu_seconds() - cpu)
            record.held_out.append(judge(*map(loop.projections, views)).item())
            log.info(f"{name}: epoch {epoch + 1}/{epochs}, {images / record.seconds[-1]:.0f} images/s")
    return records


def few(values: list[float]) -> list[float]:
    """At most ``SHOWN_LOSSES`` values, evenly spaced, with the first and the last."""
    count = min(len(values), SHOWN_LOSSES)
    return [values[round(at * (len(values) - 1) / max(1, count - 1))] for at in range(count)]


def table(records: dict[str, Record]) -> list[str]:
    """The records as a Markdown table; ratios are relative to the first."""
    first = next(iter(records.values()))
    lines = [
        "| loop | images/s | ratio | images per CPU second | ratio | loss by epoch | loss on the same held-out views |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- | --- |")
    for name, record in records.items():
        cells = [name]
        for times, theirs in ((record.seconds, first.seconds), (record.cpu, first.cpu)):
            cells += [f"{record.rate(times):.0f}", f"{record.rate(times) / first.rate(theirs):.2f}"]
        cells += [", ".join(f"{value:.3f}" for value in few(values)) for values in (record.losses, record.held_out)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def readable(path: Path) -> bool:
    """Whether a photo can be decoded; a warning if not, as no loop could train on it."""
    try:
        decode(path.read_bytes())
    except (OSError, ValueError, SyntaxError) as error:
        log.info(f"left out: {path}: {error}")
        return False
    return True


def main(folder: Path, images: int, epochs: int) -> None:
    """Train with every loop on the first ``images`` photos (0: all) and print the table."""
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    photos = [path for path in photos[: images or None] if readable(path)]
    held_out, train = photos[::HELD_OUT], [path for number, path in enumerate(photos) if number % HELD_OUT]
    if len(train) < BATCH:
        raise SystemExit(f"{folder}: {len(photos)} photos, too few for a batch of {BATCH}")
    seed_everything(0)
    views = held_out_views(held_out, SIDE)
    tutorial = Tutorial(train, epochs, workers=torch.get_num_threads())
    half = Tutorial(train, epochs, workers=torch.get_num_threads(), start=tutorial)
    loops: dict[str, Loop] = {LIGHTLY: tutorial, LIGHTLY_16: half}
    loops |= {name: Ours(train, epochs, tutorial, runtime) for name, runtime in OURS.items()}
    used = len(train) // BATCH * BATCH
    log.info(f"{used} images in an epoch, {len(held_out)} held out, {torch.get_num_threads()} threads")
    records = contest(loops, used, epochs, views)
    print("\n".join(table(records)))
    best = max(records[name].rate(records[name].seconds) for name in OURS)
    ratio, half_ratio = (best / records[name].rate(records[name].seconds) for name in (LIGHTLY, LIGHTLY_16))
    print(
        f"\nFastest of ours: {ratio:.2f} times lightly's tutorial; target: {TARGET:.0f} times. "
        f"Were the tutorial to train in bfloat16, too: {half_ratio:.2f} times."
    )


if __name__ == "__main__":
    start_process()
    show_log()
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
