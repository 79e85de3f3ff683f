"""The page's addresses, asked as a browser does: build, search, narrow, correct, keep; limits; what is refused."""

import io
import re
import time
from html.parser import HTMLParser

import pytest
from fake_wardrobe import query_garment, sent
from PIL import Image
from starlette.testclient import TestClient

from stages.core.errors import StageError
from stages.web import site as site_module

OWN = {"origin": "http://127.0.0.1:8300"}


def state(client):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        text = client.get("/wardrobe").text
        if 'data-running=""' in text:
            return text
        time.sleep(0.01)
    raise AssertionError("the job did not end")


# ---- the page and its files


def test_page_has_no_inline_script_or_style_and_asks_no_other_site(client):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, values: tags.append((name, dict(values)))
    parser.feed(client.get("/").text)
    assert [values for name, values in tags if name == "script" and "src" not in values] == []
    names = {name for _, values in tags for name in values}
    assert "style" not in {name for name, _ in tags} | names and not [name for name in names if name.startswith("on")]
    addresses = [values[name] for _, values in tags for name in ("src", "href", "action") if name in values]
    assert addresses and [address for address in addresses if not address.startswith(("/", "#"))] == []
    for address in {address for address in addresses if address.startswith("/")}:
        assert client.get(address).status_code == 200


def test_style_script_and_templates_name_no_address_of_the_network(client):
    for name in ("page.css", "page.js"):
        text = client.get(f"/files/{name}").text
        assert (
            re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
            and "url(" not in text
            and "@import" not in text
        )


@pytest.mark.parametrize("address", ["/files/page.html.j2", "/files/..%2Fsite.py", "/files/", "/docs", "/openapi.json"])
def test_nothing_but_the_pages_own_files_is_served(client, address):
    assert client.get(address).status_code == 404


# ---- the wardrobe


def test_folder_is_added_with_progress_and_broken_files_are_listed(client, wardrobe, tmp_path):
    wardrobe.go_on.clear()
    answer = client.post("/wardrobe/folders", json={"folder": str(tmp_path)}, headers=OWN)
    assert answer.status_code == 200 and 'data-running="1"' in answer.text
    until = time.monotonic() + 10
    while "1 of 3 photos" not in client.get("/wardrobe").text and time.monotonic() < until:
        time.sleep(0.01)
    text = client.get("/wardrobe").text
    assert "1 of 3 photos" in text and '<progress id="progress" max="3" value="1">' in text
    wardrobe.go_on.set()
    text = state(client)
    assert "1 file could not be read" in text
    assert "&lt;b&gt;bad&lt;/b&gt;.jpg" in text and "not an image &amp; no &lt;i&gt;picture&lt;/i&gt;" in text
    assert wardrobe.added == [tmp_path]


def test_second_folder_waits_until_the_first_is_done_or_stopped(client, wardrobe, tmp_path):
    wardrobe.go_on.clear()
    client.post("/wardrobe/folders", json={"folder": str(tmp_path)})
    second = client.post("/wardrobe/folders", json={"folder": str(tmp_path)})
    assert second.status_code == 422 and "is being read" in second.text
    assert client.post("/wardrobe/stop").status_code == 200
    wardrobe.go_on.set()
    assert "Stopped" in state(client)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("/no/such/folder", "no such folder"),
        ("clothes", "give the whole path"),
        ("", "No folder given"),
        ("/<script>", "/<script>: no such"),
    ],
)
def test_folder_that_is_none_is_one_line(client, folder, said):
    answer = client.post("/wardrobe/folders", json={"folder": folder})
    assert answer.status_code == 422 and said in answer.text and "\n" not in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_looking_again_reports(client):
    assert client.post("/wardrobe/rescan").status_code == 200
    assert "all folders of the wardrobe" in state(client)


@pytest.mark.parametrize("address", ["/wardrobe/folders", "/wardrobe/rescan", "/wardrobe/stop"])
def test_visitors_from_elsewhere_change_nothing(visit, wardrobe, photo, address, tmp_path):
    client = visit(changes=False)
    answer = client.post(address, json={"folder": str(tmp_path)})
    assert answer.status_code == 403 and "--allow-changes" in answer.text
    photo_id, text = sent(client, photo)
    assert 'id="keep"' not in text and 'id="add"' not in client.get("/").text
    assert client.post(f"/photos/{photo_id}/keep").status_code == 403
    assert wardrobe.added == wardrobe.uploads == []


def test_garments_are_listed_and_narrowed(client):
    everything = client.get("/items").text
    assert everything.count('class="card"') == 3 and "3 shown" in everything
    assert client.get("/items", params={"color": "Blue"}).text.count('class="card"') == 1
    assert client.get("/items", params={"superclass": "top", "color": "Red"}).text.count('class="card"') == 2
    nothing = client.get("/items", params={"superclass": "footwear", "color": "Red"}).text
    assert "Widen the selection" in nothing and "<li>" not in nothing


def test_long_lists_come_in_pages(client, monkeypatch):
    monkeypatch.setattr(site_module, "ON_A_PAGE", 2)
    first = client.get("/items").text
    assert first.count('class="card"') == 2 and 'data-next="2"' in first
    second = client.get("/items", params={"start": 2}).text
    assert second.count('class="card"') == 1 and "data-next" not in second and "<ul" not in second


@pytest.mark.parametrize(
    "address",
    [
        "/items?start=-1",
        "/items?start=x",
        "/items?start=99999999999999999999",
        "/items?size=big",
        "/items/0a-0/picture?side=9999",
    ],
)
def test_list_asked_for_in_an_unknown_way_is_refused_in_one_line(client, address):
    answer = client.get(address)
    assert answer.status_code == 422 and "\n" not in answer.text and "{" not in answer.text


def test_file_names_are_shown_as_text(client):
    text = client.get("/").text
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in text and "<img src=x" not in text
    assert "caf\\xe9.jpg" in text
    text = client.get("/items/2a-0").text
    assert "/photos/caf\\xe9.jpg" in text


def test_picture_is_asked_for_by_id_and_drawn_once(client, wardrobe):
    drawn = []
    draw = wardrobe.picture
    wardrobe.picture = lambda *words: drawn.append(words[0].id) or draw(*words)
    for _ in range(3):
        answer = client.get("/items/1a-0/picture")
        assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
        assert Image.open(io.BytesIO(answer.content)).size == (256, 128)
    assert drawn == ["1a-0"]
    assert Image.open(io.BytesIO(client.get("/items/1a-0/picture?whole=1&side=1024").content)).width == 1024


@pytest.mark.parametrize("name", ["9f-9", "..%2F..%2Fetc%2Fpasswd", "%00", "photos/a.jpg"])
def test_picture_of_no_garment_is_not_there(client, name):
    assert client.get(f"/items/{name}/picture").status_code == 404
    assert client.get(f"/items/{name}").status_code == 404


def test_picture_whose_file_is_gone_is_one_line(client, wardrobe):
    def gone(*_):
        raise StageError("/photos/blue shirt.jpg: no such file.")

    wardrobe.picture = gone
    answer = client.get("/items/0a-0/picture")
    assert answer.status_code == 410 and "gone" in answer.text and "/photos" not in answer.text


# ---- a photo


def test_photo_shows_its_garments_and_the_nearest_ones(client, wardrobe, photo):
    _, text = sent(client, photo, "<b>mine</b>.png")
    assert "&lt;b&gt;mine&lt;/b&gt;.png" in text and "<b>mine" not in text
    assert re.findall(r'data-superclass="(\w+)" data-box="([\d,]+)"', text) == [
        ("top", "10,20,60,90"),
        ("footwear", "0,0,5,5"),
    ]
    assert text.count('class="similarity"') == 3 and "</span>0.50</span>" in text
    assert re.search(r">color</span>\s*<span class=\"name\">Blue</span><span class=\"share\">91 %", text)
    assert "approximate" not in text
    searched = wardrobe.searches[-1]
    assert searched[0] is wardrobe.garments[0] and searched[3] is False and len(searched[4]) == 64


def test_approximate_search_says_so_with_its_recall(client, wardrobe, photo):
    wardrobe.recall = 0.961
    _, text = sent(client, photo, "mine.png")
    assert "This search was approximate: it finds 96 % of the most similar garments." in text


def test_what_is_not_sure_is_said_to_be(client, photo):
    photo_id, _ = sent(client, photo)
    text = client.post(f"/photos/{photo_id}/search", json={"garment": 1}).text
    assert re.search(
        r'class="unsure"><span class="head">color</span>\s*<span class="name">not sure <small>Red\?</small>', text
    )


def test_search_is_narrowed_and_may_look_at_every_class(client, wardrobe, photo):
    photo_id, _ = sent(client, photo)
    words = {"garment": 1, "superclass": "*", "attributes": {"color": "Red", "type": ""}}
    text = client.post(f"/photos/{photo_id}/search", json=words).text
    assert text.count('class="card"') == 2
    one, _, filters, any_class, _ = wardrobe.searches[-1]
    assert one is wardrobe.garments[1] and any_class is True
    assert filters.attributes == {"color": {"Red"}} and filters.superclasses == frozenset()


def test_different_ideas_say_what_finds_them(client, photo):
    photo_id, _ = sent(client, photo)
    text = client.post(f"/photos/{photo_id}/search", json={"garment": 0, "mode": "ideas"}).text
    assert text.count('<span class="why">color</span>') == 3


def test_nothing_found_says_what_to_do(client, photo, wardrobe):
    photo_id, _ = sent(client, photo)
    words = {"garment": 0, "superclass": "footwear", "attributes": {"color": "Red"}}
    assert "Widen the selection" in client.post(f"/photos/{photo_id}/search", json=words).text
    wardrobe.rows = []
    assert "The wardrobe is empty" in client.post(f"/photos/{photo_id}/search", json={"garment": 0}).text


def test_corrected_box_and_class_take_the_place_of_the_detected_ones(client, photo):
    photo_id, _ = sent(client, photo)
    words = {"garment": 1, "superclass": "top", "box": [1, 2, 90, 100]}
    text = client.post(f"/photos/{photo_id}/garments", json=words, headers=OWN).text
    assert re.findall(r'data-superclass="(\w+)" data-box="([\d,]+)"', text) == [
        ("top", "10,20,60,90"),
        ("top", "1,2,90,100"),
    ]
    assert 'data-number="1"' in text and "corrected" in text
    text = client.post(f"/photos/{photo_id}/garments", json=words | {"garment": None, "box": None}).text
    assert len(re.findall(r'class="tab"', text)) == 3


def test_photo_joins_the_wardrobe_only_when_asked(client, wardrobe, photo):
    photo_id, text = sent(client, photo, "coat.png")
    assert wardrobe.uploads == [] and 'id="keep"' in text
    answer = client.post(f"/photos/{photo_id}/keep", headers=OWN)
    assert answer.status_code == 200 and "is in the wardrobe now" in answer.text
    assert wardrobe.uploads == [(photo, "coat.png")]


@pytest.mark.parametrize("name", ["photo", "a.sh", "../../x.exe", "a.\0", "a." + "x" * 900, "a.jpg/..", ".jpg\n"])
def test_photo_is_kept_under_a_name_of_a_picture(client, wardrobe, photo, name):
    photo_id, _ = sent(client, photo, name)
    assert client.post(f"/photos/{photo_id}/keep").status_code == 200
    assert wardrobe.uploads == [(photo, "photo.jpg")]


def test_full_disk_is_one_line(client, wardrobe, photo):
    def full(*_):
        raise OSError(28, "No space left on device", "/home/me/wardrobe/files")

    wardrobe.add_upload = full
    photo_id, _ = sent(client, photo)
    answer = client.post(f"/photos/{photo_id}/keep")
    assert answer.status_code == 500 and "No space left on device" in answer.text and "/home" not in answer.text


def test_visitors_from_elsewhere_see_names_of_files_and_no_folders(visit, wardrobe):
    client = visit(changes=False)
    for address in ("/", "/wardrobe", "/items", "/items/0a-0"):
        assert "/photos/blue" not in client.get(address).text and ">/photos<" not in client.get(address).text
    assert "blue shirt.jpg" in client.get("/items/0a-0").text


def test_photo_that_is_forgotten_says_so(client, photo, monkeypatch):
    client.app.state.site.uploads.most = 1
    photo_id, _ = sent(client, photo)
    assert client.get(f"/photos/{photo_id}/picture").status_code == 200
    sent(client, photo)
    for answer in (
        client.get(f"/photos/{photo_id}/picture"),
        client.post(f"/photos/{photo_id}/search", json={"garment": 0}),
        client.post(f"/photos/{photo_id}/garments", json={"garment": 0, "superclass": "top", "box": None}),
        client.post(f"/photos/{photo_id}/keep"),
    ):
        assert answer.status_code == 410 and "Choose it again" in answer.text


def test_large_photo_is_shown_smaller_and_its_boxes_stay_in_its_own_pixels(client):
    stream = io.BytesIO()
    Image.new("RGB", (3000, 2000), "red").save(stream, "JPEG")
    photo_id, text = sent(client, stream.getvalue())
    assert 'viewBox="0 0 3000 2000"' in text
    assert Image.open(io.BytesIO(client.get(f"/photos/{photo_id}/picture").content)).size == (1280, 853)


# ---- many visitors


def test_more_photos_at_once_than_memory_has_are_told_to_come_again(client, photo):
    client.app.state.site.sending = site_module.AT_ONCE
    answer = client.post("/photos", content=photo)
    assert answer.status_code == 503 and answer.headers["retry-after"]
    client.app.state.site.sending = 0
    sent(client, photo)
    assert client.app.state.site.sending == 0


def test_more_searches_than_may_wait_are_told_to_come_again(client, photo):
    client.app.state.site.models.most = 0
    answer = client.post("/photos", content=photo)
    assert answer.status_code == 503 and "Try again" in answer.text
    assert client.app.state.site.sending == 0


def test_error_that_should_not_happen_tells_a_visitor_nothing_of_the_code(wardrobe, client):
    def fail():
        raise RuntimeError("secret /home/me")

    wardrobe.facets = fail
    answer = TestClient(client.app, base_url="http://127.0.0.1:8300", raise_server_exceptions=False).get("/narrow")
    assert answer.status_code == 500 and "secret" not in answer.text


def test_garments_of_one_photo_are_bounded(client, photo):
    photo_id, _ = sent(client, photo)
    for _ in range(30):
        text = client.post(
            f"/photos/{photo_id}/garments", json={"garment": None, "superclass": "top", "box": None}
        ).text
    assert len(re.findall(r'class="tab"', text)) == 24


def test_models_are_made_ready_before_the_first_photo(visit, wardrobe):
    made = []
    wardrobe.models.warm = lambda: made.append(1)
    client = visit()
    until = time.monotonic() + 10
    while not made and time.monotonic() < until:
        time.sleep(0.01)
    assert made == [1] and client.get("/").status_code == 200


def test_photo_with_one_garment_and_no_box_is_the_whole_photo(client, wardrobe, photo):
    wardrobe.garments = [query_garment("none", None, None)]
    _, text = sent(client, photo)
    assert 'data-superclass="none" data-box=""' in text and "no garment detected" in text
