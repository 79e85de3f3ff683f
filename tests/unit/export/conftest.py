"""A project with small models, and its export."""

import numpy as np
import pytest
from PIL import Image
from small_models import write_project


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A folder with params.yaml and models of profile ``mine``."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return root


@pytest.fixture(scope="session")
def exported(project):
    """The folder that the command writes by default."""
    from stages.core.params import load_params
    from stages.export.export import export

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("SEAMLINE_DEVICE", "cpu")
        return project / export(project / "export" / "mine", "classifier", load_params())


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Photos of many sizes: smooth color fields with noise; one is turned by its EXIF tag."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    for number, size in enumerate([(64, 96), (300, 120), (97, 41), (96, 96), (640, 480), (33, 200)]):
        fields = Image.fromarray(draw.integers(0, 256, (5, 4, 3), dtype=np.uint8))
        noise = draw.normal(0, 6, (size[1], size[0], 3))
        pixels = np.asarray(fields.resize(size, Image.Resampling.BICUBIC)) + noise
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 4 else 1
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90, exif=exif)
    return sorted(folder.iterdir())
