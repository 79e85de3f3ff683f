"""Take the pictures that README and docs show: searches in the report, the local page, the report.

Usage: python -m stages.run doc_pictures [--out docs/pictures]  (``seamline docs --pictures``)

Opens the report of the profile demo in Chromium. Then builds a wardrobe of the demo's photos of single garments in a
temporary folder, serves the local page over it, and sends one photo in which the same garments are worn. It needs a
reproduced demo and Chromium.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from stages.core.errors import StageError
from stages.runner.stage import new_parser, one_message

PHOTOS = Path("data/demo/raw/deepfashion_mm/images")
FLAT = "*_flat.jpg"  # photos of a single garment, which make the wardrobe
WORN = "MEN-Cardigans-id_00000027-02_1_front.jpg"  # someone who wears two of them
CLOTHES = 120  # photos of the wardrobe
SIZE = {"width": 1280, "height": 985}
COLORS = 256  # of the picture's palette: a third of the bytes, and no visible difference
REPORT = Path("report/demo/index.html")
GALLERY_HEIGHT = 900  # pixels: the controls and the first searches
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def clothes(photos: Path, count: int) -> list[Path]:
    """The first photos of single garments.

    Raises:
        StageError: there are none.
    """
    result = sorted(photos.glob(FLAT))[:count]
    if not result:
        raise StageError(f"{photos}: no {FLAT} there. Run `make repro` with the profile demo first.")
    return result


@contextmanager
def served(store: Path, folder: Path = Path()) -> Iterator[tuple[str, int]]:
    """Address and process id of the page over a store, started as a person starts it, in a checkout.

    Raises:
        StageError: it ended before it served.
    """
    command = [sys.executable, "-m", "stages.run", "app", "--port", "0", "--store", str(store.absolute())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        if address is None:
            raise StageError("the page did not start; its message is above.")
        yield address[0], server.pid
    finally:
        server.terminate()
        server.wait(30)


def browser() -> str:
    """Path of Chromium.

    Raises:
        StageError: there is none.
    """
    path = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if path is None:
        raise StageError(f"no Chromium found, as {', '.join(PROGRAMS)}. Install one: apt-get install chromium.")
    return path


def take(chromium: Any, address: str, folder: Path, photo: Path) -> bytes:
    """A PNG of the page after a folder was added and a photo sent; ``chromium`` is playwright's browser."""
    page = chromium.new_page(viewport=SIZE, reduced_motion="reduce")
    page.goto(address)
    page.fill("#folder", str(folder))
    page.press("#folder", "Enter")
    page.wait_for_selector(".done", timeout=300_000)
    page.set_input_files("#file", photo)
    page.wait_for_selector("#query", timeout=60_000)
    page.wait_for_load_state("networkidle")
    picture = page.screenshot()
    page.close()
    return picture


def small(picture: bytes) -> bytes:
    """The same PNG with a palette."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLORS).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def report_pictures(chromium: Any, report: Path) -> dict[str, bytes]:
    """Name of a picture -> PNG: the top of a report, and its searches as the page opens with them.

    Args:
        chromium: playwright's browser.

    Raises:
        StageError: there is no such report.
    """
    if not report.is_file():
        raise StageError(f"{report}: no such file. Run `make repro` with the profile demo first.")
    page = chromium.new_page(viewport=SIZE, reduced_motion="reduce")
    page.goto(report.absolute().as_uri())
    pictures = {"report": page.screenshot()}
    section = page.locator("section", has=page.locator("#gallery"))
    section.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('#g-list img')].every((image) => image.complete)")
    box = section.bounding_box()
    clip = {**box, "y": box["y"] + page.evaluate("scrollY"), "height": min(box["height"], GALLERY_HEIGHT)}
    pictures["gallery"] = page.screenshot(full_page=True, clip=clip)
    page.close()
    return pictures


def page_picture(chromium: Any) -> bytes:
    """PNG of the local page over a wardrobe of the demo's clothes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "my clothes")
        folder.mkdir()
        for path in clothes(PHOTOS, CLOTHES):
            shutil.copyfile(path, folder / path.name)
        with served(Path(temporary, "store")) as (address, _):
            return take(chromium, address, folder, PHOTOS / WORN)


def main() -> None:
    """Parse, open, save."""
    parser = new_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    args = parser.parse_args()
    with one_message():
        from playwright.sync_api import sync_playwright

        program = browser()
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            pictures = report_pictures(chromium, REPORT) | {"page": page_picture(chromium)}
            chromium.close()
        for name, picture in pictures.items():
            path = args.out / f"{name}.png"
            path.write_bytes(small(picture))
            print(path)
