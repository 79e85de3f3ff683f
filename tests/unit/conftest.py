"""What tests of several packages need: small crops, small recipes, the drawn sources of the demo."""

import numpy as np
import pytest
from PIL import Image
from small_recipes import COMMON, example_rows, small

from stages.contracts.images import encode_jpeg


@pytest.fixture(scope="session")
def crops():
    """Twelve JPEG crops of six colors."""
    draw = np.random.default_rng(0)
    colors = draw.integers(0, 255, (6, 3))
    return [encode_jpeg(Image.new("RGB", (40, 60), tuple(map(int, colors[number % 6])))) for number in range(12)]


@pytest.fixture
def cpu(monkeypatch):
    """The CPU with one thread, whatever the machine has, and one seed. Threads cost tiny networks more than they give."""
    import torch

    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def train_rows():
    """What a benchmark's train table holds: 8 training and 5 validation garments, three pictures each."""
    return example_rows("train", range(8)) + example_rows("val", range(20, 25))


@pytest.fixture(scope="session")
def examples(train_rows):
    """The same as training and validation examples."""
    from stages.encoders.examples import Examples

    def split(name):
        rows = [row for row in train_rows if row["split"] == name]
        column = {key: [row[key] for row in rows] for key in rows[0]}
        known = {key: np.array(column[key], object) for key in ("item", "category")}
        return Examples(column["row_id"], column["bytes"], known["item"], known["category"], column["labels"])

    return split("train"), split("val")


@pytest.fixture
def recipe_values():
    """The values of a small recipe of a kind, with changes, as params.yaml holds them."""

    def make(kind, **changes):
        return {"kind": kind, **COMMON, **small(kind), **changes}

    return make


@pytest.fixture
def recipe(recipe_values):
    """A small recipe of a kind, with changes."""
    from stages.encoders.recipes import recipe_module

    return lambda kind, **changes: recipe_module(kind, "test").RECIPE.model_validate(recipe_values(kind, **changes))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with every source of the demo, drawn small."""
    from small_demo import SMALL, draw_sources

    root = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEAMLINE_WORKERS", "1")  # starting processes takes a second
        draw_sources(SMALL, root, root / "truth")
    return root


@pytest.fixture(scope="session")
def truth(drawn):
    """Source -> its ground truth."""
    from small_demo import rows_of

    return lambda source: rows_of(drawn, source)
