"""Folders that are added and taken out again, and what became of their files."""

from stages.app.folders import count_changes, scan, with_added, without
from stages.app.store import File, Roots


def file(path, sha):
    return File(path, (0, 0, 0), sha)


def test_folder_stands_for_what_is_below_it():
    roots = with_added(Roots(["/a/b", "/c"]), ["/a"])
    assert roots.added == ["/a", "/c"]
    assert with_added(roots, ["/a/b/d"]).added == ["/a", "/c"]


def test_what_is_taken_out_of_a_folder_comes_back_with_the_folder_or_by_itself():
    roots = without(Roots(["/a"]), ["/a/b", "/a/x.jpg"])
    assert roots == Roots(["/a"], ["/a/b", "/a/x.jpg"])
    assert with_added(roots, ["/a/b"]) == Roots(["/a"], ["/a/x.jpg"])
    assert with_added(roots, ["/a/b/c.jpg"]) == Roots(["/a", "/a/b/c.jpg"], ["/a/b", "/a/x.jpg"])
    assert with_added(roots, ["/a"]) == Roots(["/a"], [])


def test_folder_that_is_taken_out_takes_what_is_below_it():
    roots = Roots(["/a", "/c/d"], ["/a/x.jpg"])
    assert without(roots, ["/a"]) == Roots(["/c/d"], [])
    assert without(roots, ["/c"]) == Roots(["/a"], ["/a/x.jpg"])
    assert without(roots, ["/"]) == Roots([], [])
    assert without(roots, ["/elsewhere"]) == roots


def test_photo_that_was_added_alone_is_found_in_a_folder_that_is_left_out(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("a.jpg", "b/c.jpg", "b/d.jpg"):
        (tmp_path / name).touch()
    top, out = str(tmp_path), str(tmp_path / "b")
    assert set(scan([top, f"{out}/c.jpg"], [out]).stamps) == {f"{top}/a.jpg", f"{out}/c.jpg"}


def test_changes_are_counted_by_hand():
    before = [file("a", "1"), file("b", "2"), file("c", "3"), file("d", "3"), file("e", "5"), file("f", None)]
    # a stays, b has other bytes, c moves to x, d is gone (its bytes are now in one place only), e is copied and gone:
    # one of its two copies is a move; f still cannot be opened.
    now = [file("a", "1"), file("b", "9"), file("x", "3"), file("y", "5"), file("z", "5"), file("f", None)]
    counts = count_changes(before, now)
    assert {name: count for name, count in counts.items() if count} == {
        "unchanged": 2, "changed": 1, "moved": 2, "added": 1, "removed": 1, "duplicate": 1,
    }  # fmt: skip
    assert counts["unchanged"] + counts["changed"] + counts["moved"] + counts["added"] == len(now)
