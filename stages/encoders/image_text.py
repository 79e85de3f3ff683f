"""Encoders of pictures and words, as they were published: nothing is trained, so ``seamline find`` can ask with words.

The weights are downloaded once, from the commit of a repository on Hugging Face that the recipe names, and written next
to the card with the tokenizer. No later stage needs a network connection.
"""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.encoders.examples import Examples
from stages.encoders.frozen import scored
from stages.encoders.recipe_task import Fitted, Run
from stages.encoders.recipes import Recipe
from stages.networks.encoders.image_text import TOKENIZER, ImageText, import_open_clip
from stages.networks.encoders.kinds import card_of

log = logging.getLogger(__name__)

# Files of a repository, as open_clip's push_to_hf_hub writes them.
CONFIG, WEIGHTS, TOKENIZER_CONFIG = "open_clip_config.json", "open_clip_model.safetensors", "tokenizer_config.json"
TOKENIZER_OPTIONS = {"clean"}  # those of a tokenizer file that stages/networks/encoders/image_text.py follows


class ImageTextRecipe(Recipe):
    """A recipe of kind ``image_text``; the examples are only used for validation.

    Attributes:
        backbone: with ``weights: download`` a repository of Hugging Face, OWNER/NAME; with ``none`` the name of an
            architecture in open_clip.
        revision: commit of the repository, so that everybody gets the same bytes; null without a download.
        license: of the weights; null without a download.
    """

    kind: Literal["image_text"]
    backbone: str
    weights: Literal["none", "download"]
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    license: str | None = Field(min_length=1)

    @model_validator(mode="after")
    def _names_what_is_downloaded(self) -> Self:
        if self.weights == "download" and not ("/" in self.backbone and self.revision and self.license):
            raise ValueError(
                "`weights: download` needs `backbone: OWNER/NAME`, the `revision` (40 hex digits) and the `license`"
            )
        return self


RECIPE = ImageTextRecipe


def fit(recipe: ImageTextRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Load the weights and score the vectors of pictures on validation."""
    if recipe.weights == "download":
        network, card, files = published(recipe, run.name)
    else:
        config, files = architecture(recipe), {}
        network = ImageText(config)
        card = card_of("image_text", image_size=recipe.image_size, config=config, origin=None)
    return replace(scored(network.to(device()), card, recipe, train, val, run), files=files)


def published(recipe: ImageTextRecipe, name: str) -> tuple[ImageText, dict[str, Any], dict[str, bytes]]:
    """The network of a repository with its weights, its card, and the files that belong next to the weights.

    Args:
        name: of the encoder, for messages.

    Raises:
        StageError: open_clip is not installed, a download failed, or the network is none that this project can run.
    """
    open_clip = import_open_clip()  # before anything is downloaded
    origin = f"{recipe.backbone}@{recipe.revision}, {recipe.license}"
    log.info(f"{name}: {origin}")
    config, files = configuration(recipe, name)
    weights, network = downloaded(recipe, WEIGHTS, name), ImageText(config)
    try:
        open_clip.load_checkpoint(network.model, str(weights))
    except (RuntimeError, OSError) as error:
        raise StageError(f"{weights}: does not fit {CONFIG} of {recipe.backbone}: {str(error)[:200]}.") from None
    return network, card_of("image_text", image_size=recipe.image_size, config=config, origin=origin), files


def architecture(recipe: ImageTextRecipe) -> dict[str, Any]:
    """The configuration of an architecture in open_clip, for pictures of the recipe's size.

    Raises:
        StageError: there is none of this name.
    """
    open_clip = import_open_clip()
    shape = open_clip.get_model_config(recipe.backbone)
    if shape is None:
        near = ", ".join(name for name in open_clip.list_models() if name.startswith("ViT-B"))
        raise StageError(
            f"params.yaml: open_clip {open_clip.__version__} has no architecture {recipe.backbone!r}. Near: {near}."
        )
    shape["vision_cfg"]["image_size"] = recipe.image_size
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return {"model": shape, "mean": list(mean), "std": list(std), "pad_token": None}


def configuration(recipe: ImageTextRecipe, name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The configuration in a repository, and the files that belong next to the weights; see ``published``."""
    content = json.loads(downloaded(recipe, CONFIG, name).read_text(encoding="utf-8"))
    shape, pixels = content["model_cfg"], content["preprocess_cfg"]
    vision, text = shape["vision_cfg"], shape["text_cfg"]
    if vision["image_size"] != recipe.image_size:
        raise StageError(
            f"params.yaml: `encoder.{name}.image_size` is {recipe.image_size}; {recipe.backbone} takes "
            f"{vision['image_size']}."
        )
    config = {"model": shape, "mean": pixels["mean"], "std": pixels["std"], "pad_token": None}
    unknown = [f"text_cfg.{key}" for key in ("hf_model_name",) if key in text]
    if not text.get("hf_tokenizer_name"):
        files = {}
    else:
        unknown += [f"tokenizer_kwargs.{key}" for key in text.get("tokenizer_kwargs", {}).keys() - TOKENIZER_OPTIONS]
        files = {TOKENIZER: downloaded(recipe, TOKENIZER, name).read_bytes()}
        padding = json.loads(downloaded(recipe, TOKENIZER_CONFIG, name).read_text(encoding="utf-8"))["pad_token"]
        config["pad_token"] = padding if isinstance(padding, str) else padding["content"]
    if unknown:
        raise StageError(
            f"params.yaml: {recipe.backbone} uses {', '.join(unknown)}, which kind image_text does not follow. Choose "
            "another `backbone`, such as timm/ViT-B-16-SigLIP2."
        )
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False  # the weights of the whole network come after it was built
    return config, files


def downloaded(recipe: ImageTextRecipe, file: str, name: str) -> Path:
    """A file of the repository, from the cache of Hugging Face or from its host.

    Raises:
        StageError: it is not in the cache, and the download failed.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.utils.logging import set_verbosity_error

    set_verbosity_error()  # else it prints a line for each of five attempts
    try:
        return Path(hf_hub_download(recipe.backbone, file, revision=recipe.revision))
    except Exception as error:
        cause = error.__cause__ or error  # why the host cannot be reached is below "not in the cache"
        why = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
        raise StageError(
            f"{name}: {file} of {recipe.backbone} could not be downloaded from {constants.ENDPOINT} ({why}). Connect "
            f"to the network once and run this again, or take {name} out of `encoders`."
        ) from None
