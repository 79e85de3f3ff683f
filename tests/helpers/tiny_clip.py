"""Tiny random networks of open_clip: an architecture by name, and a repository as Hugging Face would serve it."""

import json
import tempfile
from pathlib import Path

import pytest
import torch

NAME = "tiny_clip"
ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
# As in the file of Marqo/marqo-fashionSigLIP, but small.
REPOSITORY = {
    "model_cfg": {
        "embed_dim": 64, "init_logit_bias": -10, "custom_text": True,
        "vision_cfg": {
            "image_size": 96, "timm_model_name": "test_vit", "timm_model_pretrained": True, "timm_pool": "avg",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 8, "vocab_size": 10, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
            "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 64, "heads": 2, "layers": 2,
            "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-06},
        },
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2], "interpolation": "bicubic", "resize_mode": "squash"
    },
}  # fmt: skip
WORDS = {"</s>": 1, "<unk>": 2, "a": 3, "red": 4, "striped": 5, "dress": 6}
OWNER, REVISION = "someone/tiny", "0123456789" * 4


def open_clip():
    """The package; without it the test is skipped."""
    return pytest.importorskip("open_clip", reason="open_clip is not installed: pip install -r requirements-text.txt")


def small_recipe():
    """The values of a small recipe of kind image_text, whose architecture open_clip knows from now on."""
    package = open_clip()
    if NAME not in package.list_models():
        path = Path(tempfile.mkdtemp()) / f"{NAME}.json"
        path.write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
        package.add_model_config(path)
    return {"backbone": NAME, "weights": "none", "revision": None, "license": None}


def recipe_of_the_repository():
    """The values of a recipe that downloads ``write_repository``."""
    return {"backbone": OWNER, "weights": "download", "revision": REVISION, "license": "MIT", "image_size": 96}


def write_repository(folder, **changes):
    """The files of a repository with random weights; returns the network that these belong to.

    Args:
        changes: what the file of the configuration says otherwise in ``text_cfg``.
    """
    package = open_clip()
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir(parents=True)
    shape = {key: value for key, value in REPOSITORY["model_cfg"].items() if key != "custom_text"}
    said = REPOSITORY | {"model_cfg": REPOSITORY["model_cfg"] | {"text_cfg": shape["text_cfg"] | changes}}
    (folder / "open_clip_config.json").write_text(json.dumps(said), encoding="utf-8")
    shape["vision_cfg"] = shape["vision_cfg"] | {"timm_model_pretrained": False}
    torch.manual_seed(3)
    network = package.CustomTextCLIP(**shape).eval()
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "</s>"}), encoding="utf-8")
    return network
