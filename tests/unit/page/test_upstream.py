"""Files and lines of an upstream tree, by hand."""

from stages.page.upstream import image_file, lines_about


def test_upstream_lines_name_the_id_as_a_word(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("12.jpg", "112.jpg"):
        (tmp_path / "images" / name).write_bytes(b"")
    (tmp_path / "list.csv").write_text("id,name\n112,a\n12,b\n7,x12\n")
    (tmp_path / "12.xml").write_text("<a/>")
    found = [(one["file"].name, one["line"]) for one in lines_about(tmp_path, ["12"])]
    assert found == [("12.xml", 1), ("list.csv", 3)]
    assert image_file(tmp_path, "12") == tmp_path / "images" / "12.jpg"
    assert image_file(tmp_path, "13") is None


def test_id_that_begins_with_a_split_is_the_file_in_that_folder(tmp_path):
    for split in ("train", "validation"):
        (tmp_path / split / "image").mkdir(parents=True)
        (tmp_path / split / "image" / "000001.jpg").write_bytes(b"")
    assert image_file(tmp_path, "validation-000001") == tmp_path / "validation" / "image" / "000001.jpg"
    assert image_file(tmp_path, "test-000001") is None
