"""What the wardrobe reads, counts and keeps; its models look at colors (tests/helpers/small_wardrobe.py)."""

import os
import shutil
import threading

import pytest
from PIL import Image
from small_wardrobe import ColorModels, photo

from stages.app.search import Filters
from stages.app.wardrobe import SAVED_EVERY, Wardrobe
from stages.core.errors import StageError

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


@pytest.fixture
def folder(tmp_path):
    """Three photos."""
    for name, color in (("red.jpg", RED), ("green.jpg", GREEN), ("sub/blue.jpg", BLUE)):
        photo(tmp_path / "clothes" / name, color)
    return tmp_path / "clothes"


@pytest.fixture
def opened(tmp_path):
    """Opens the wardrobe of the test, as another process would; gives its models too."""

    def make(**options):
        models = ColorModels(**options)
        return Wardrobe(models, tmp_path / "store"), models

    return make


def seen(change):
    return {name: count for name, count in change.counts.items() if count}


def names(wardrobe):
    return [item.photo.name for item in wardrobe.items()]


def test_second_look_at_an_unchanged_folder_reads_no_photo(folder, opened):
    wardrobe, models = opened()
    change = wardrobe.add([folder])
    assert (change.photos, change.garments, seen(change)) == (3, 6, {"added": 3})
    assert len(models.looked) == 3
    wardrobe, models = opened()
    wardrobe.models.garments = None  # a look would fail
    change = wardrobe.add([folder])
    assert (change.photos, change.garments, seen(change)) == (3, 6, {"unchanged": 3})


def test_unchanged_file_is_not_even_opened(folder, opened, monkeypatch):
    opened()[0].add([folder])
    wardrobe, _ = opened()
    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    assert seen(wardrobe.sync()) == {"unchanged": 3}


def test_touched_file_is_hashed_and_not_looked_at(folder, opened):
    opened()[0].add([folder])
    os.utime(folder / "red.jpg", ns=(1, 1))
    wardrobe, models = opened()
    assert seen(wardrobe.sync()) == {"unchanged": 3}
    assert models.looked == []


def test_moved_changed_and_removed_photos_are_counted_and_only_the_changed_one_is_looked_at(folder, opened):
    opened()[0].add([folder])
    (folder / "red.jpg").rename(folder / "sub" / "rouge.jpg")
    photo(folder / "green.jpg", BLUE, RED)
    (folder / "sub" / "blue.jpg").unlink()
    photo(folder / "new.jpg", RED, GREEN)
    wardrobe, models = opened()
    change = wardrobe.sync()
    assert seen(change) == {"moved": 1, "changed": 1, "removed": 1, "added": 1}
    assert sorted(path.name for path in models.looked) == ["green.jpg", "new.jpg"]
    assert sorted(set(names(wardrobe))) == ["green.jpg", "new.jpg", "rouge.jpg"]
    assert seen(wardrobe.sync()) == {"unchanged": 3}


def test_duplicate_photos_are_one_photo_with_several_files(folder, opened):
    for name in ("a copy.jpg", "sub/another.jpg"):
        shutil.copy(folder / "red.jpg", folder / name)
    wardrobe, models = opened()
    change = wardrobe.add([folder])
    assert (change.photos, seen(change)) == (3, {"added": 5, "duplicate": 2})
    assert len(models.looked) == 3
    (item, _) = wardrobe.items(Filters(attributes={"color": frozenset({"red"})}))
    assert [path.name for path in item.paths] == ["a copy.jpg", "red.jpg", "another.jpg"]
    (folder / "a copy.jpg").unlink()  # the one that names the photo: the others remain
    assert seen(wardrobe.sync()) == {"removed": 1, "unchanged": 4, "duplicate": 1}
    assert wardrobe.items()[2].paths[0].name == "red.jpg"


def test_unreadable_photos_are_listed_each_time_and_looked_at_once(folder, opened):
    (folder / "page.jpg").write_bytes(b"<html>404</html>")
    (folder / "empty.jpg").write_bytes(b"")
    data = (folder / "red.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    photo(folder / "dot.png", RED, size=(4, 4))
    (folder / "raw.dng").write_bytes(b"raw")
    (folder / "notes.txt").write_text("socks")
    wardrobe, models = opened()
    change = wardrobe.add([folder])
    assert change.photos == 3
    assert seen(change) == {"added": 7, "unreadable": 4, "left_out": 2}
    reasons = {one.path.name: one.reason for one in change.broken}
    assert reasons["page.jpg"] == reasons["empty.jpg"] == "not an image of a kind that is read"
    assert "truncated" in reasons["cut.jpg"].lower() and "4x4 pixels are too few" in reasons["dot.png"]
    assert change.left_out == {".dng (a kind of picture that is not read; save it as JPEG or PNG)": 1, ".txt": 1}
    wardrobe, models = opened()
    again = wardrobe.sync()
    assert [one.path for one in again.broken] == [one.path for one in change.broken]
    assert models.looked == [] and seen(again) == {"unchanged": 7, "unreadable": 4, "left_out": 2}
    photo(folder / "page.jpg", RED, GREEN)  # repaired
    assert seen(wardrobe.sync()) == {"unchanged": 6, "changed": 1, "unreadable": 3, "left_out": 2}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_file_that_may_not_be_opened_is_unreadable_until_it_may(folder, opened):
    (folder / "red.jpg").chmod(0)
    wardrobe, _ = opened()
    change = wardrobe.add([folder])
    assert (change.photos, [one.reason for one in change.broken]) == (2, ["Permission denied"])
    (folder / "red.jpg").chmod(0o600)
    assert wardrobe.sync().photos == 3


ODD = [
    "a b.jpg",
    "line\nbreak.jpg",
    "-dash.jpg",
    "Blüse ☂.jpg",
    "quote'\".jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "%s{}.jpg",
]


def test_any_name_of_a_file_is_read_and_found_again(tmp_path, opened):
    for number, name in enumerate(ODD):
        photo(tmp_path / "clothes" / "x.jpg", (10 * number, 100, 100)).rename(tmp_path / "clothes" / name)
    wardrobe, _ = opened()
    assert wardrobe.add([tmp_path / "clothes"]).photos == len(ODD)
    wardrobe, models = opened()
    assert seen(wardrobe.sync()) == {"unchanged": len(ODD)} and models.looked == []
    assert {item.photo.name for item in wardrobe.items()} == set(ODD)
    wardrobe.remove([tmp_path / "clothes" / ODD[5]])
    assert wardrobe.sync().photos == len(ODD) - 1


def test_every_kind_of_file_that_phones_write_is_read_upright(tmp_path, opened):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    folder = tmp_path / "phone"
    turned = Image.Exif()
    turned[0x0112] = 6  # stored on its side: turned by a quarter, its left half becomes the upper one
    image = Image.new("RGB", (60, 40), RED)
    image.paste(BLUE, (30, 0, 60, 40))
    folder.mkdir()
    image.save(folder / "turned.jpg", exif=turned, quality=95)
    photo(folder / "two.jpg", RED, BLUE).write_bytes(b"")
    upright = Image.open(photo(folder / "plain.png", RED, BLUE, size=(40, 60)))
    upright.save(folder / "two.jpg", "MPO", save_all=True, append_images=[upright.copy()], quality=95)
    upright.save(folder / "apple.heic", "HEIF", quality=95)
    upright.save(folder / "web.webp", quality=95)
    wardrobe, _ = opened()
    change = wardrobe.add([folder])
    assert (change.photos, change.broken) == (5, [])
    for item in wardrobe.items():
        assert (item.width, item.height) == (40, 60), item.photo.name
        color = "red" if item.superclass == "top" else "blue"
        assert item.attributes["color"].name == color, item.photo.name


def test_photo_is_no_match_of_its_own_bytes_and_one_of_other_bytes_is(folder, opened):
    shutil.copy(folder / "red.jpg", folder / "copy.jpg")
    Image.open(folder / "red.jpg").save(folder / "sent.jpg", quality=40)  # the same picture, encoded anew
    wardrobe, _ = opened()
    wardrobe.add([folder])
    query = wardrobe.read_query(folder / "red.jpg")
    found = wardrobe.matches(query.garments[0], without=query.sha256)
    assert [match.item.photo.name for match in found][0] == "sent.jpg"
    assert not {"red.jpg", "copy.jpg"} & {path.name for match in found for path in match.item.paths}
    own = wardrobe.matches(query.garments[0])[0]
    assert own.item.paths[0].name == "copy.jpg" and own.similarity == pytest.approx(1, abs=1e-6)


def test_other_models_look_at_every_photo_and_the_first_ones_still_know_theirs(folder, opened):
    opened()[0].add([folder])
    other, models = opened(version="2")
    assert other.catalog().photos == 0
    assert seen(other.sync()) == {"unchanged": 3} and len(models.looked) == 3
    first, models = opened()
    first.sync()
    assert models.looked == []


def test_removed_photo_stays_out_until_it_is_added_again(folder, opened):
    wardrobe, _ = opened()
    wardrobe.add([folder])
    change = wardrobe.remove([folder / "red.jpg"])
    assert (change.photos, seen(change)) == (2, {"removed": 1})
    assert (folder / "red.jpg").exists()
    assert wardrobe.sync().photos == 2
    assert wardrobe.add([folder], again=False).photos == 2
    assert wardrobe.add([folder / "red.jpg"]).photos == 3
    assert wardrobe.roots() == [folder]


def test_removed_folder_leaves_nothing_of_its_photos_in_the_store(folder, opened, tmp_path):
    wardrobe, _ = opened()
    wardrobe.add([folder])
    opened(version="2")[0].sync()
    assert wardrobe.remove([folder]).photos == 0
    assert wardrobe.roots() == []
    for store in (wardrobe, opened(version="2")[0]):
        assert store.store.results(store.key).known() == set()


def test_folder_that_is_unplugged_is_not_searched_and_not_forgotten(folder, opened, tmp_path):
    wardrobe, _ = opened()
    wardrobe.add([folder])
    other = photo(tmp_path / "other" / "gray.jpg", (90, 90, 90)).parent
    wardrobe.add([other])
    folder.rename(tmp_path / "away")
    change = wardrobe.sync()
    assert (change.photos, change.missing, seen(change)) == (1, [folder], {"unchanged": 1})
    (tmp_path / "away").rename(folder)
    wardrobe, models = opened()
    assert wardrobe.sync().photos == 4 and models.looked == []


def test_what_was_read_before_a_crash_is_kept_but_for_the_last_batch(tmp_path, opened):
    for number in range(2 * SAVED_EVERY + 3):
        photo(tmp_path / "clothes" / f"{number:02}.jpg", (7 * number, 90, 90))
    wardrobe, models = opened()

    def crash(done, total, path):
        if done == 2 * SAVED_EVERY + 2:
            raise MemoryError

    with pytest.raises(MemoryError):
        wardrobe.add([tmp_path / "clothes"], crash)
    wardrobe, models = opened()
    assert wardrobe.catalog().photos == 2 * SAVED_EVERY
    assert seen(wardrobe.sync()) == {"unchanged": 2 * SAVED_EVERY, "added": 3}
    assert len(models.looked) == 3


def test_addition_that_is_stopped_keeps_what_it_read(folder, opened):
    wardrobe, models = opened()
    stop = threading.Event()
    progress_calls = []

    def progress(done, total, path):
        progress_calls.append((done, total))
        stop.set()

    assert wardrobe.add([folder], progress, stop).photos == 1
    assert progress_calls == [(1, 3)] and len(models.looked) == 1
    assert wardrobe.sync().photos == 3 and len(models.looked) == 3


def test_second_addition_at_once_waits_or_gives_up(folder, opened):
    first, second = opened()[0], opened()[0]
    first.store.folder.mkdir(exist_ok=True)
    with first.store.writing():
        change = second.sync(wait=False)
        assert change.busy and "another process" in change.lines()[0]
        late = threading.Thread(target=second.add, args=([folder],))
        late.start()
        late.join(0.3)
        assert late.is_alive()
    late.join(20)
    assert first.catalog().photos == 3


def test_threads_search_while_photos_are_added(tmp_path, opened):
    """Every answer is of one consistent state, and later ones have no fewer garments."""
    for number in range(60):
        photo(tmp_path / "clothes" / f"{number:02}.jpg", (4 * number, 60, 200 - 3 * number))
    path = photo(tmp_path / "look.jpg", (100, 60, 120))
    wardrobe, _ = opened()
    query = wardrobe.read_query(path).garments[0]
    counts, failures, done = [[] for _ in range(4)], [], threading.Event()

    def search(own):
        try:
            while not done.is_set():
                matches = wardrobe.matches(query, top=1000)
                assert all(0 < match.similarity <= 1.0001 for match in matches)
                wardrobe.ideas(query)
                own.append(len(matches))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=search, args=(own,)) for own in counts]
    for thread in threads:
        thread.start()
    wardrobe.add([tmp_path / "clothes"])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(own == sorted(own) and set(own) <= {0, 16, 32, 48, 60} for own in counts)
    assert len(wardrobe.matches(query, top=1000)) == 60


def test_uploaded_photo_is_kept_under_a_name_of_its_bytes(folder, opened, tmp_path):
    data = (folder / "red.jpg").read_bytes()
    wardrobe, _ = opened()
    assert wardrobe.add_upload(data, "../../evil name.JPG").photos == 1
    (item, _) = wardrobe.items()
    assert item.photo.parent == tmp_path / "store" / "photos" and item.photo.suffix == ".jpg"
    assert item.photo.read_bytes() == data
    assert (
        wardrobe.add_upload((folder / "green.jpg").read_bytes(), "run.exe").photos == 2
    )  # a picture, whatever its name
    assert {item.photo.suffix for item in wardrobe.items()} == {".jpg"}
    with pytest.raises(StageError, match="not an image of a kind that is read"):
        wardrobe.add_upload(b"<html>", "page.jpg")
    assert len(list((tmp_path / "store" / "photos").iterdir())) == 2


def test_corrected_garment_is_cut_where_and_named_as_the_person_says(folder, opened):
    wardrobe, _ = opened()
    data = photo(folder / "both.png", RED, BLUE).read_bytes()
    query = wardrobe.correct(data, (0, 32, 40, 60), "top")
    assert (query.superclass, query.box, query.confidence) == ("top", (0, 32, 40, 60), None)
    assert query.attributes["color"].name == "blue"
    assert wardrobe.correct(data, None, "none").box is None
    assert wardrobe.correct(data, (-10, 32, 400, 600), "top").box == (0, 32, 40, 60)
    for box, superclass, message in (
        ((0, 0, 2, 2), "top", "too few pixels"),
        ((30, 0, 20, 9), "top", "too few pixels"),
        ((50, 0, 70, 60), "top", "too few pixels"),
        (None, "sock", "no class 'sock'; expected one of"),
    ):
        with pytest.raises(StageError, match=message):
            wardrobe.correct(data, box, superclass)


def test_picture_is_the_garment_or_its_whole_photo(folder, opened):
    from io import BytesIO

    wardrobe, _ = opened()
    photo(folder / "both.png", RED, BLUE, size=(400, 600))
    wardrobe.add([folder / "both.png"])
    (top, bottom) = wardrobe.items()
    shown = Image.open(BytesIO(wardrobe.picture(bottom, side=100)))
    assert max(shown.size) == 100 and shown.getpixel((50, 60))[2] > 150
    assert Image.open(BytesIO(wardrobe.picture(top, side=90, whole=True))).size == (60, 90)
    (folder / "both.png").unlink()
    with pytest.raises(StageError, match="both.png: no such file"):
        wardrobe.picture(top)


def test_nothing_to_add_is_one_message(tmp_path, opened, folder):
    wardrobe, _ = opened()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.jxl").write_bytes(b"x")
    for path, message in (
        (tmp_path / "nowhere", "nowhere: no such file or folder"),
        (tmp_path / "none", r"none: no image in it \(1 .jxl \(a kind of picture that is not read"),
        (tmp_path / "none" / "a.jxl", "a.jxl: a kind of picture that is not read"),
    ):
        with pytest.raises(StageError, match=message):
            wardrobe.add([folder, path])
    assert wardrobe.roots() == []


def test_folder_with_other_files_becomes_no_store(folder):
    with pytest.raises(StageError, match="holds other files"):
        Wardrobe(ColorModels(), folder)
