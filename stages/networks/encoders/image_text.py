"""Networks of open_clip that put pictures and words into one space, so that words find pictures.

They were trained on pictures and their captions (Radford et al. 2021; Zhai et al. 2023 with a sigmoid loss). open_clip
is imported when such a network is built, because nothing else needs it (requirements-text.txt).
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.networks.encoders.metric_learning import NetworkEncoder

INSTALL = "pip install -r requirements-text.txt"
TOKENIZER = "tokenizer.json"  # stands next to the weights, except of networks with CLIP's byte pairs
CLIP_LENGTH = 77  # tokens of a text, where the configuration does not say


def import_open_clip() -> ModuleType:
    """The package.

    Raises:
        StageError: it is not installed.
    """
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise StageError(f"an encoder of words and pictures needs the package {error.name}: {INSTALL}") from None
    return open_clip


class ImageText(nn.Module):
    """uint8 images in, vectors out; and vectors of words in the same space."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Build it with random weights.

        Args:
            config: ``model``, as open_clip configures it, and ``mean`` and ``std`` of pixels 0..1 of each channel.

        Raises:
            StageError: open_clip is not installed, or does not know such a network.
        """
        super().__init__()
        open_clip = import_open_clip()
        shape = deepcopy(config["model"])
        build = open_clip.CustomTextCLIP if shape.pop("custom_text", False) else open_clip.CLIP
        try:
            self.model = build(**shape)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise StageError(
                f"open_clip {open_clip.__version__} cannot build this network: {str(error)[:200]}. "
                f"Install the version of requirements-text.txt: {INSTALL}"
            ) from None
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(config[key]).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, d] of images [n, 3, h, w], uint8 or floats in 0..255."""
        return self.model.encode_image((images.float() - self.mean) / self.std)

    def words(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vectors [n, d] of texts as tokens, int64 [n, length]."""
        return self.model.encode_text(tokens)


def tokenizer_of(config: dict[str, Any], folder: Path) -> Callable[[Sequence[str]], torch.Tensor]:
    """The function from texts to tokens, int64 [n, length], of a network.

    Args:
        config: see ``ImageText``; ``pad_token`` fills short texts up, where the network has a tokenizer file.
        folder: of the encoder.

    Raises:
        StageError: the tokenizer file is missing.
    """
    open_clip = import_open_clip()
    text = config["model"]["text_cfg"]
    length, options = text.get("context_length", CLIP_LENGTH), text.get("tokenizer_kwargs", {})
    if not text.get("hf_tokenizer_name"):
        simple = open_clip.SimpleTokenizer(context_length=length, **options)
        return lambda texts: simple(list(texts))
    path = folder / TOKENIZER
    if not path.is_file():
        raise StageError(
            f"{path}: no such file, so this encoder takes no words. Encoders with `weights: download` have one: "
            "run `dvc repro`."
        )
    from open_clip.tokenizer import get_clean_fn
    from tokenizers import Tokenizer

    tokenizer, clean = Tokenizer.from_file(str(path)), get_clean_fn(options.get("clean", "whitespace"))
    pad = config["pad_token"]
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_token=pad, pad_id=tokenizer.token_to_id(pad))
    return lambda texts: torch.tensor([row.ids for row in tokenizer.encode_batch([clean(text) for text in texts])])


class ImageTextEncoder(NetworkEncoder):
    """Vectors of crops and of words, compared by cosine."""

    def __init__(self, folder: Path) -> None:
        """Load the files that the stage train_encoder wrote into ``folder``."""
        self.folder = folder
        super().__init__(folder)

    def build(self, card: dict[str, Any]) -> nn.Module:
        self.config = card["config"]
        return ImageText(self.config)

    @torch.inference_mode()
    def embed_words(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of texts.

        Raises:
            StageError: see ``tokenizer_of``.
        """
        tokens = tokenizer_of(self.config, self.folder)(texts)
        return self.network.words(tokens.to(device())).float().cpu().numpy()
