"""A large wardrobe is searched by an index beside its vectors, and finds what the exact search finds."""

import sys

import numpy as np
import pytest
from small_wardrobe import HEADS, ColorModels, photo

from stages.app.items import QueryGarment
from stages.app.query import approximate_json
from stages.app.search import Filters
from stages.app.store import File, PhotoGarments, Roots
from stages.app.wardrobe import Wardrobe
from stages.core.errors import StageError
from stages.retrieval.index import SearchParams, read_card

pytest.importorskip("faiss")  # pip install -r requirements-search.txt

IVF = SearchParams(index="ivf", ivf_above=100, recall=1.0)
EXACT = SearchParams(index="exact", ivf_above=100, recall=1.0)
SHARES = sum(map(len, HEADS.values()))


def rows_of(count, seed):
    """float32 [count, d + shares]: unit vectors in bunches, then shares of the heads' classes."""
    random = np.random.default_rng(seed)
    vectors = np.random.default_rng(1).standard_normal((12, 8))[random.integers(0, 12, count)]
    vectors = vectors + 0.5 * random.standard_normal((count, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.concatenate([vectors, random.random((count, SHARES))], axis=1).astype(np.float32)


class Clothes:
    """A store of photos that exist by name alone, with a top and a bottom in each."""

    def __init__(self, folder):
        self.folder, self.count = folder / "store", 0

    def opened(self, search=IVF):
        models = ColorModels()
        models.search = search
        return Wardrobe(models, self.folder)

    def add(self, photos, seed=0, wardrobe=None):
        """Add photos, then look again as every command does; the wardrobe."""
        wardrobe = wardrobe or self.opened()
        rows = rows_of(2 * photos, seed)
        files = wardrobe.store.files()
        results = wardrobe.store.results(wardrobe.key)
        results.append([
            PhotoGarments(f"{self.count + number:064x}", (40, 60), [("top", 0.9, None), ("bottom", 0.8, None)],
                  rows[2 * number : 2 * number + 2])
            for number in range(photos)
        ])  # fmt: skip
        for number in range(self.count, self.count + photos):
            files[f"/clothes/{number:05}.png"] = File(f"/clothes/{number:05}.png", (1, 1, 1), f"{number:064x}")
        self.count += photos
        wardrobe.store.write_files(files.values())
        wardrobe.store.write_roots(Roots())
        wardrobe.sync()
        return wardrobe

    def index_files(self):
        return sorted(path.name for path in self.folder.glob("*/index-*"))


@pytest.fixture
def clothes(tmp_path):
    return Clothes(tmp_path)


def query(seed=9):
    (row,) = rows_of(1, seed)
    return QueryGarment("top", 0.9, None, {}, b"", row[:8], row[8:])


def answers(wardrobe, **options):
    return [
        (match.item.id, pytest.approx(match.similarity, abs=1e-6)) for match in wardrobe.matches(query(), **options)
    ]


def test_index_finds_the_same_garments_in_the_same_order_and_says_its_recall(clothes):
    wardrobe = clothes.add(150)
    exact = clothes.opened(EXACT)
    assert len(clothes.index_files()) == 1
    for top in (1, 5, 40):
        assert answers(wardrobe, top=top) == answers(exact, top=top)
        assert answers(wardrobe, top=top, any_class=True) == answers(exact, top=top, any_class=True)
    (match, *_) = found = wardrobe.matches(query())
    assert match.recall == 1.0 and approximate_json(found) == {"recall": 1.0}
    assert approximate_json(exact.matches(query())) is None is approximate_json([])


def test_every_garment_is_listed_when_more_are_wanted_than_there_are(clothes):
    wardrobe = clothes.add(150)
    assert len(answers(wardrobe, top=1000)) == 150
    assert answers(wardrobe, top=1000) == answers(clothes.opened(EXACT), top=1000)


def test_few_garments_that_pass_a_filter_are_compared_exactly_and_many_by_the_index(clothes):
    wardrobe, exact = clothes.add(150), clothes.opened(EXACT)
    dark = Filters(attributes={"tone": frozenset({"dark"})})
    few, many = (wardrobe.matches(query(), filters=dark, any_class=every) for every in (False, True))
    assert 0 < wardrobe.count(Filters(frozenset({"top"}), dark.attributes)) <= 100 < wardrobe.count(dark)
    assert few[0].recall is None and many[0].recall == 1.0
    for every in (False, True):
        assert answers(wardrobe, filters=dark, any_class=every) == answers(exact, filters=dark, any_class=every)
    assert all(match.item.attributes["tone"].name == "dark" for match in many)


def test_query_photo_is_no_match_of_itself(clothes):
    wardrobe = clothes.add(150)
    best = wardrobe.matches(query())[0].item.id.partition("-")[0]
    assert best not in {match.item.id.partition("-")[0] for match in wardrobe.matches(query(), top=99, without=best)}


def test_small_wardrobe_and_exact_params_have_no_index(clothes):
    assert clothes.add(50).matches(query())[0].recall is None  # 100 garments: not above the size
    assert clothes.index_files() == []
    clothes.add(100, wardrobe=clothes.opened(EXACT))
    assert clothes.index_files() == []


def test_new_garments_are_found_beside_the_index_until_a_tenth_is_new(clothes):
    clothes.add(150)
    first = clothes.index_files()
    wardrobe = clothes.add(15, seed=2)  # 30 garments on 300: a tenth
    assert clothes.index_files() == first
    assert answers(wardrobe, top=165) == answers(clothes.opened(EXACT), top=165)
    assert any(int(match.item.id.partition("-")[0], 16) >= 150 for match in wardrobe.matches(query(), top=165))
    assert wardrobe.matches(query())[0].recall == 1.0
    wardrobe = clothes.add(1, seed=3)
    second = clothes.index_files()
    assert len(second) == 1 and second != first
    (path,) = clothes.folder.glob("*/index-*")
    assert read_card(path)["rows"] == 332
    assert answers(wardrobe) == answers(clothes.opened(EXACT))


def test_removed_garments_are_not_found(clothes):
    wardrobe = clothes.add(150)
    gone = [match.item.photo for match in wardrobe.matches(query(), top=10)]
    wardrobe.remove(gone)
    found = wardrobe.matches(query(), top=200)
    assert len(found) == 140 and not {match.item.photo for match in found} & set(gone)
    assert found[0].recall == 1.0
    assert answers(wardrobe, top=200) == answers(clothes.opened(EXACT), top=200)


def test_index_of_other_vectors_is_not_used(clothes):
    wardrobe = clothes.add(150)
    (path,) = clothes.folder.glob("*/vectors-*.f32")
    data = np.fromfile(path, np.float32)
    data[:8] = -data[:8]
    data.tofile(path)
    again = clothes.opened()
    assert again.matches(query())[0].recall is None
    assert wardrobe.matches(query())[0].recall == 1.0  # it was opened before


def test_same_vectors_give_an_index_of_the_same_name_and_bytes(clothes, tmp_path):
    clothes.add(150)
    other = Clothes(tmp_path / "other")
    other.add(150)
    (one,), (two,) = (own.folder.glob("*/index-*") for own in (clothes, other))
    assert one.name == two.name and one.read_bytes() == two.read_bytes()


def test_damaged_note_or_a_lost_index_is_made_again(clothes):
    clothes.add(150)
    (note,) = clothes.folder.glob("*/index.json")
    (index,) = clothes.folder.glob("*/index-*")
    data = index.read_bytes()
    for spoil in (lambda: note.write_text("{"), index.unlink):
        spoil()
        assert clothes.opened().matches(query())[0].recall is None
        clothes.opened().sync()
        assert index.read_bytes() == data
        assert clothes.opened().matches(query())[0].recall == 1.0


def test_without_faiss_one_message_says_what_to_install_and_the_photos_stay(clothes, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(StageError, match="pip install -r requirements-search.txt"):
        clothes.add(150)
    assert clothes.opened(EXACT).count() == 300


def test_photos_that_were_just_added_are_searched_by_the_index_of_the_same_command(tmp_path):
    models = ColorModels()
    models.search = SearchParams(index="ivf", ivf_above=3, recall=1.0)
    for number, color in enumerate([(200, 20, 20), (20, 200, 20), (20, 20, 200)]):
        photo(tmp_path / "clothes" / f"{number}.png", color)
    wardrobe = Wardrobe(models, tmp_path / "store")
    wardrobe.add([tmp_path / "clothes"])
    query = wardrobe.read_query(photo(tmp_path / "look.png", (210, 30, 30)))
    found = wardrobe.matches(query.garments[0], any_class=True)
    assert [match.item.photo.name for match in found][0] == "0.png" and found[0].recall == 1.0
