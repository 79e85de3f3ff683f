"""The models of a search by words: the detectors and the classifier, and an encoder of words and pictures.

The detectors find the garments and the classifier names their attributes, as in every search. The vectors are those of
an encoder of kind ``image_text``, so a store has a folder of their own for them (``Models.key``).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.app.garments import Garment, inputs, unit
from stages.app.models import Models
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.core.params import load_params

if TYPE_CHECKING:
    from stages.networks.encoders.image_text import ImageTextEncoder

KIND = "image_text"


class WordModels(Models):
    """Models whose vectors can be compared with words.

    Attributes:
        encoder_folder: of the encoder of words and pictures.
    """

    encoder_folder: Path

    @classmethod
    def open(cls, content: Mapping[str, Any] | None = None, confidence: float | None = None) -> "WordModels":
        """The models that params name; see ``Models.open``.

        Raises:
            StageError: params or models are missing, or no encoder takes words.
        """
        from stages.networks.encoders.image_text import import_open_clip

        content = load_params() if content is None else content
        name = encoder_of_words(content)
        import_open_clip()
        models = super().open(content, confidence)
        assert isinstance(models, cls)
        models.encoder_folder = models.folders[-1].parent / name
        if not (models.encoder_folder / "encoder.json").is_file():
            raise StageError(f"{models.encoder_folder}: no such encoder yet. Run `dvc repro train_encoder@{name}`.")
        return models

    @cached_property
    def words(self) -> "ImageTextEncoder":
        """The encoder of words and pictures with its weights."""
        from stages.networks.encoders.image_text import ImageTextEncoder

        return ImageTextEncoder(self.encoder_folder)

    @property
    def origin(self) -> str | None:
        """Where the weights come from, and their license; None if they are random."""
        return read_json(self.encoder_folder / "encoder.json")["origin"]

    def files(self) -> list[Path]:
        """The files whose content decides what is found in a photo."""
        from stages.networks.encoders.image_text import TOKENIZER

        names = ("encoder.json", "weights.safetensors", TOKENIZER)
        return [*super().files(), *(path for name in names if (path := self.encoder_folder / name).is_file())]

    def describe(self, garments: Sequence[Garment]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 [n, d] of length 1, and calibrated probabilities float32 [n, classes of all heads]."""
        shares = super().describe(garments)[1]
        with self._turn:
            seed_everything(0)
            vectors = self.words.embed(*inputs(garments, self.words))
        return unit(vectors, self.words.metric), shares

    def vector_of(self, text: str) -> np.ndarray:
        """The vector of words, float32 [d] of length 1.

        Raises:
            StageError: as ``ImageTextEncoder.embed_words``.
        """
        with self._turn:
            seed_everything(0)
            return unit(self.words.embed_words([text]), self.words.metric)[0]


def encoder_of_words(content: Mapping[str, Any]) -> str:
    """The name of the first listed encoder that takes words.

    Args:
        content: of params.yaml.

    Raises:
        StageError: the profile lists none.
    """
    recipes, profile = content.get("encoder") or {}, content["profile"]
    names = [name for name in content["encoders"] if recipes.get(name, {}).get("kind") == KIND]
    if not names:
        raise StageError(
            f"profile {profile} lists no encoder that takes words. Add fashion_siglip to `encoders` in "
            f"profiles/{profile}.yaml and run `make repro PROFILE={profile}` (docs/find.md)."
        )
    return names[0]
