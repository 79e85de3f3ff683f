"""The local page over the demo in a browser: build, search, see the right match, correct, narrow; keyboard, phone.

The ground truth of the demo says which photo of the wardrobe shows the very garment that is worn in the query photo.
"""

import base64
import io
import shutil

import pytest
from PIL import Image

from stages.contracts.tables import read_table
from stages.demo.truth import FILE, TRUTH
from stages.web.doc_pictures import PHOTOS, REPORT, WORN, clothes, report_pictures, served, small, take

pytestmark = pytest.mark.slow
CLOTHES = 80
LOOKS = 6  # query photos
NEAR = 4  # first matches among which the right one counts as seen


@pytest.fixture(scope="module")
def truth(demo):
    """Photo -> its garments, of the drawn source that has worn and flat photos of the same garments."""
    rows = read_table(demo / "data" / "demo" / "truth" / "deepfashion_mm" / FILE, TRUTH).to_pylist()
    result = {}
    for row in rows:
        result.setdefault(row["image_id"].rpartition("/")[2], []).append(row)
    return result


@pytest.fixture(scope="module")
def folder(demo, tmp_path_factory):
    """Photos of single garments, and files that are none, under names that would break a careless page."""
    folder = tmp_path_factory.mktemp("my clothes")
    for path in clothes(demo / PHOTOS, CLOTHES):
        shutil.copyfile(path, folder / path.name)
    (folder / "<img src=x onerror=document.title=1>.jpg").write_text("not an image")
    (folder / "torn.jpg").write_bytes((folder / path.name).read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def address(demo, tmp_path_factory):
    with served(tmp_path_factory.mktemp("store"), demo) as (address, _):
        yield address


def opened(chromium, address, **options):
    """A page; what the console says, and a request to any other place, is an error."""
    page = chromium.new_page(reduced_motion="reduce", **options)
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith((address, "blob:")) else None
    )
    page.goto(address)
    return page, said


@pytest.fixture(scope="module")
def built(chromium, address, folder):
    """The page after the folder was added by keyboard: the folder's path is typed, and Enter pressed."""
    page, said = opened(chromium, address, viewport={"width": 1280, "height": 900})
    assert "No garments yet" in page.locator(".total").inner_text()
    page.fill("#folder", str(folder))
    page.press("#folder", "Enter")
    page.wait_for_selector("#progress", timeout=30_000)
    page.wait_for_selector(".done", timeout=300_000)
    yield page
    page.close()
    assert said == []


@pytest.fixture
def page(built, address):
    built.goto(address)
    return built


def send(page, path):
    page.set_input_files("#file", path)
    page.wait_for_selector(f"#query:has-text('{path.name}')", timeout=60_000)


def looks(demo, truth, folder):
    """Worn photos whose garment is in the wardrobe, and the files of the wardrobe that show it."""
    instances = {}
    for path in folder.iterdir():
        for row in truth.get(path.stem, ()):
            instances.setdefault(row["instance"], set()).add(path.name)
    photos = sorted((demo / PHOTOS).glob("*_1_front.jpg"))
    result = []
    for path in photos:
        worn = [row for row in truth.get(path.stem, ()) if row["instance"] in instances]
        if len(worn) == 1:
            result.append((path, worn[0], instances[worn[0]["instance"]]))
    return result[:LOOKS]


def settled(page):
    page.wait_for_selector("main:not([aria-busy=true])")
    page.wait_for_load_state("networkidle")


def files(page):
    return page.locator("#matches .card .file").all_inner_texts()


def correct(page, row):
    """Say by the number fields what the truth says: box and class of the garment."""
    if not page.locator("#correct").evaluate("(node) => node.open"):
        page.click("#correct summary")
    page.select_option("#c-superclass", row["superclass"])
    for name, corner in (("left", "x1"), ("top", "y1"), ("right", "x2"), ("bottom", "y2")):
        page.fill(f"#c-{name}", str(row[corner]))
    with page.expect_response("**/garments"):
        page.press("#c-bottom", "Enter")
    page.wait_for_selector(".tab[aria-pressed=true]:has-text('corrected')", timeout=30_000)
    settled(page)


def test_building_says_what_was_read_and_what_could_not_be(page, folder):
    garments = int(page.locator(".total strong").inner_text())
    assert garments >= CLOTHES and page.locator("#items .card").count() == 48
    page.click("#items .more")
    page.wait_for_function("() => document.querySelectorAll('#items .card').length > 48")
    assert page.locator("#items .card").count() == min(96, garments)
    assert page.locator("#broken summary").inner_text() == "2 files could not be read"
    page.click("#broken summary")
    told = page.locator("#broken li").all_inner_texts()
    assert any("<img src=x onerror=document.title=1>.jpg" in line and "not an image" in line for line in told)
    assert any("torn.jpg" in line for line in told)
    assert page.title() == "Seamline wardrobe"


def test_the_garment_that_is_worn_is_seen_among_the_first_matches(page, demo, truth, folder):
    """With its box and class as the truth has them, so that the detector's misses do not count."""
    asked = looks(demo, truth, folder)
    assert len(asked) == LOOKS
    seen = 0
    for path, row, right in asked:
        send(page, path)
        correct(page, row)
        page.select_option("#q-superclass", "*")  # the flat photo may be seen as another class
        settled(page)
        shown = files(page)
        assert len(shown) > NEAR
        seen += bool(right & set(shown[:NEAR]))
    assert seen >= LOOKS / 2


def test_matches_have_pictures_and_a_similarity_that_falls(page, demo, truth, folder):
    send(page, looks(demo, truth, folder)[0][0])
    settled(page)
    numbers = [float(text) for text in page.locator("#matches .similarity").evaluate_all(
        "(nodes) => nodes.map((node) => node.lastChild.textContent)")]  # fmt: skip
    assert numbers == sorted(numbers, reverse=True) and len(numbers) == 12
    page.locator("#matches .card").last.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#matches img')].every((image) => image.complete && image.naturalWidth)"
    )
    shares = page.locator("#matches .attributes .share").all_inner_texts()
    assert len(shares) == 6 and all(text.endswith(" %") for text in shares)


def test_a_box_is_drawn_on_the_photo_and_searched_with(page, demo, truth, folder):
    path, row, _ = looks(demo, truth, folder)[0]
    send(page, path)
    page.click("#correct summary")
    page.select_option("#c-superclass", row["superclass"])
    frame = page.locator("#boxes").bounding_box()
    width, height = Image.open(path).size
    # From well outside of the detected box, which is drawn there: near its corner the mouse would drag this corner.
    corners = [(max(1, row["x1"] - 14), max(1, row["y1"] - 14)), (row["x2"], row["y2"])]
    at = [(frame["x"] + x * frame["width"] / width, frame["y"] + y * frame["height"] / height) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*[(one + other) / 2 for one, other in zip(*at, strict=True)])
    page.mouse.move(*at[1])
    page.mouse.up()
    page.wait_for_selector(".tab[aria-pressed=true]:has-text('corrected')", timeout=30_000)
    settled(page)
    box = list(map(int, page.locator(".tab[aria-pressed=true]").get_attribute("data-box").split(",")))
    drawn = [page.locator(f"#c-{name}").input_value() for name in ("left", "top", "right", "bottom")]
    assert list(map(int, drawn)) == box
    assert abs(box[2] - row["x2"]) <= 2 and abs(box[3] - row["y2"]) <= 2


def test_another_class_finds_other_garments(page, demo, truth, folder):
    path, row, _ = looks(demo, truth, folder)[0]
    send(page, path)
    for superclass in ("bottom", "top"):
        correct(page, row | {"superclass": superclass})
        assert page.locator("#matches .known h3").inner_text().casefold().startswith(superclass)
        page.locator("#matches .card").first.click()
        page.wait_for_selector("dialog[open]")
        told = page.locator("#dialog .attributes li").first.inner_text()
        assert superclass in told or "whole photo" in told
        page.keyboard.press("Escape")


def test_the_answer_is_narrowed_and_different_ideas_say_what_they_resemble(page, demo, truth, folder):
    send(page, looks(demo, truth, folder)[0][0])
    page.select_option("#q-superclass", "*")
    settled(page)
    everything = files(page)
    option = page.locator("#q-color option").nth(1)
    color, count = option.get_attribute("value"), int(option.inner_text().rpartition("(")[2].rstrip(")"))
    page.select_option("#q-color", color)
    settled(page)
    # The count is of garments, and a match is the best garment of its photo.
    assert 0 < len(files(page)) <= min(12, count) and files(page) != everything
    for place in range(page.locator("#matches .card").count()):
        page.locator("#matches .card").nth(place).click()
        page.wait_for_selector("dialog[open]")
        assert color in page.locator("#dialog .attributes").inner_text()
        page.keyboard.press("Escape")
    page.select_option("#q-color", "")
    page.locator("#m-ideas").check(force=True)
    page.wait_for_selector("#matches .why")
    assert len(set(page.locator("#matches .why").all_inner_texts())) >= 4


def test_the_wardrobe_is_narrowed(page):
    before = page.locator("#items .card").count()
    option = page.locator("#w-superclass option").nth(1)
    page.select_option("#w-superclass", option.get_attribute("value"))
    settled(page)
    count = int(option.inner_text().rpartition("(")[2].rstrip(")"))
    assert page.locator("#items .card").count() == min(48, count) <= before


def test_photo_joins_the_wardrobe_only_when_asked_and_is_no_match_of_itself(page, demo, truth, folder):
    path = looks(demo, truth, folder)[-1][0]
    before = int(page.locator(".total strong").inner_text())
    send(page, path)
    assert int(page.locator(".total strong").inner_text()) == before
    page.click("#keep")
    page.wait_for_selector("#add-upload:has-text('in the wardrobe now')", timeout=60_000)
    page.goto(page.url)
    assert int(page.locator(".total strong").inner_text()) > before
    send(page, path)
    settled(page)
    assert float(page.locator("#matches .similarity").first.evaluate("(node) => node.lastChild.textContent")) < 1


def test_what_is_no_photo_is_said_and_the_page_goes_on(chromium, address, built, demo, truth, folder, tmp_path):
    page, said = opened(chromium, address)
    (tmp_path / "letter.jpg").write_text("not an image")
    with page.expect_response("**/photos?**") as answer:
        page.set_input_files("#file", tmp_path / "letter.jpg")
    assert answer.value.status == 422
    page.wait_for_selector("#message:has-text('cannot be read')")
    send(page, looks(demo, truth, folder)[0][0])
    assert page.locator("#message").inner_text() == ""
    page.close()
    assert len(said) == 1 and "422" in said[0]  # the console's own word for the answer


def test_a_photo_is_dropped_on_the_page(page, demo, truth, folder):
    path = looks(demo, truth, folder)[1][0]
    dropped = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))], name));
            return transfer;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": dropped})
    assert "over" in page.locator("#drop").get_attribute("class")
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.wait_for_selector(f"#query:has-text('{path.name}')", timeout=60_000)
    assert "over" not in page.locator("#drop").get_attribute("class")


def test_everything_is_reached_by_keyboard_with_a_ring_that_is_seen(page, demo, truth, folder):
    send(page, looks(demo, truth, folder)[0][0])
    settled(page)
    page.locator("#file").focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(() => { const node = document.activeElement; return node.id || node.className || node.tagName; })()"
        )
        ring = page.evaluate("""(() => { const node = document.activeElement;
            const seen = [node, node.closest('label'), node.nextElementSibling].filter(Boolean);
            return seen.some((one) => getComputedStyle(one).outlineStyle === 'solid'); })()""")
        assert ring or name in ("BODY", "SUMMARY"), name
        reached.add(name)
    assert {"garment-0", "q-superclass", "q-color", "m-nearest", "keep", "card"} <= reached
    first = page.locator("#matches .card").first
    first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    assert first.evaluate("(node) => node === document.activeElement")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_sticks_out_of_a_phone(chromium, address, built, demo, truth, folder, width):
    page, said = opened(chromium, address, viewport={"width": width, "height": 800}, has_touch=True)
    send(page, looks(demo, truth, folder)[0][0])
    page.locator("details").evaluate_all("(nodes) => nodes.forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#matches .card").first.tap()
    page.wait_for_selector("dialog[open]")
    box = page.locator("#dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    page.close()
    assert said == []


def test_picture_of_the_docs_can_be_taken_again(chromium, demo, folder, tmp_path):
    """By Chromium through the command's own functions, over a wardrobe of its own."""
    with served(tmp_path / "store", demo) as (address, _):
        data = small(take(chromium, address, folder, demo / PHOTOS / WORN))
    assert 20_000 < len(data) < 300_000


def test_pictures_of_the_report_show_its_numbers_and_its_searches(chromium, demo):
    pictures = {name: small(data) for name, data in report_pictures(chromium, demo / REPORT).items()}
    assert list(pictures) == ["report", "gallery"]
    for data in pictures.values():
        assert 20_000 < len(data) < 300_000
    assert Image.open(io.BytesIO(pictures["gallery"])).height > 500
