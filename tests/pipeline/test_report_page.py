"""The page of the demo in a browser without a network: no error, every picture, filters, keyboard, a phone's width."""

import re

import pytest

pytestmark = pytest.mark.slow
LARGEST = 15_000_000


@pytest.fixture(scope="module")
def file(demo):
    return demo / "report" / "demo" / "index.html"


@pytest.fixture
def page(chromium, file):
    """The page at a desktop's width; what the console or the network says is an error."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    said = []
    opened.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert said == []


def test_page_is_one_file_below_15_megabytes_that_names_no_path_and_no_address(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert [path.name for path in file.parent.iterdir()] == ["index.html"]
    outside = re.findall(r"""(?:src|href)=["']?(?!data:|#)([^"'\s>]+)""", text)
    assert outside == []
    assert "/tmp/" not in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_every_picture_decodes_and_no_picture_is_there_twice(page):
    counts = page.evaluate("""async () => {
        const data = JSON.parse(document.getElementById("data").textContent);
        const all = await Promise.all(data.pics.map((one) => new Promise((done) => {
            const image = new Image();
            image.onload = () => done(image.naturalWidth > 0);
            image.onerror = () => done(false);
            image.src = "data:image/jpeg;base64," + one;
        })));
        const shown = [...document.querySelectorAll("img[data-k]")];
        return { pics: data.pics.length, distinct: new Set(data.pics).size, right: all.filter(Boolean).length,
            shown: shown.length, empty: shown.filter((one) => !one.src.startsWith("data:")).map((one) => one.dataset.k) };
    }""")
    assert counts["pics"] == counts["distinct"] == counts["right"] > 500
    assert counts["shown"] > 50 and counts["empty"] == []


def test_filters_leave_what_they_say(page):
    def tags():
        return page.locator("#g-list .result strong").all_inner_texts()

    page.select_option("#g-hit", "hit")
    assert tags() and set(tags()) == {"✓ hit"}
    assert page.locator("#g-list .result .side .strip > .pic:first-child.right").count() == len(tags())
    page.select_option("#g-hit", "miss")
    assert tags() and set(tags()) == {"✗ miss"}
    assert page.locator("#g-list .pic.match").count() > 0  # the right one that was missed
    page.select_option("#g-hit", "")
    everything = page.locator("#g-count").inner_text()
    category = page.locator("#g-cat option").nth(1).get_attribute("value")
    page.select_option("#g-cat", category)
    assert page.locator("#g-count").inner_text() != everything
    told = page.locator("#g-list .says").all_inner_texts()
    assert told and all(f"category {category}" in one for one in told)
    page.select_option("#g-bench", "inshop")
    assert page.locator("#g-cat").input_value() == "" and page.locator("#g-list .result").count() > 0


def test_two_encoders_answer_the_same_query_side_by_side(page):
    page.select_option("#g-two", "siamese")
    result = page.locator("#g-list .result").first
    assert [text.split(" ")[0] for text in result.locator(".who").all_inner_texts()] == ["classifier", "siamese"]
    assert (
        result.locator(".side").nth(0).locator(".pic").count()
        >= 5
        <= result.locator(".side").nth(1).locator(".pic").count()
    )


def test_a_cell_of_a_confusion_matrix_opens_its_pictures(page):
    cell = page.locator(".matrix button:not(.diag)").first
    cell.hover()
    hint = cell.get_attribute("aria-label")
    assert cell.locator("xpath=ancestor::div[@class='matrix']").locator(".hint").inner_text() == hint
    cell.click()
    assert page.locator("#dialog-title").inner_text() == hint
    assert page.locator("#dialog-body .pic").count() == min(8, int(cell.inner_text()))
    page.locator("#dialog-body .pic").first.click()
    assert page.locator("#dialog-body dt").first.inner_text() == "item"


def test_a_photo_with_boxes_opens_what_happened_to_its_row(page):
    for part in ("#cleaning", "#boxes"):
        button = page.locator(f"section:has({part}) details[open] .follow, section:has({part}) > .grid .follow").first
        button.click()
        assert page.locator("#dialog-body img").evaluate("(node) => node.naturalWidth") > 0
        assert page.locator("#dialog-body dt").first.inner_text() == "item"
        page.keyboard.press("Escape")


def test_keyboard_opens_closes_and_comes_back(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    first = page.locator("#g-list .pic").first
    first.focus()
    outline = first.evaluate("(node) => getComputedStyle(node).outlineStyle")
    page.keyboard.press("Enter")
    assert page.locator("#dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()
    assert first.evaluate("(node) => node === document.activeElement")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid" or outline == "solid"
    cell = page.locator(".matrix button").first
    cell.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('.matrix') !== null")


def test_map_shows_a_thumbnail_at_the_pointer_and_by_arrow_keys(page):
    page.locator("#map").focus()
    before = page.locator("#m-card p").first.inner_text()
    page.keyboard.press("ArrowRight")
    after = page.locator("#m-card p").first.inner_text()
    assert before != after and page.locator("#m-card img").evaluate("(node) => node.naturalWidth") > 0
    page.locator("#map path[data-at='7']").hover()
    assert page.locator("#m-card p").first.inner_text() != after
    legend = page.locator("#m-legend li").all_inner_texts()
    page.select_option("#m-attr", "type")
    assert page.locator("#m-legend li").all_inner_texts() != legend


@pytest.mark.parametrize("width", [375, 768])
def test_nothing_sticks_out_of_a_phone(chromium, file, width):
    phone = chromium.new_page(viewport={"width": width, "height": 700}, has_touch=True)
    phone.goto(file.as_uri())
    phone.locator("details").evaluate_all("(nodes) => nodes.forEach((node) => { node.open = true; })")
    assert phone.evaluate("document.documentElement.scrollWidth") <= width
    phone.locator("#g-list .pic").first.click()
    box = phone.locator("#dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    phone.close()
