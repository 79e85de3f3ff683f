"""What outs consist of."""

import hashlib
import json

from stages.sharing.objects import OutFile, cached, files_of, md5, object_path


def test_a_file_is_its_own_part_and_a_folder_has_those_of_its_listing(tmp_path):
    assert files_of("a.txt", "0123", lambda _: None) == [OutFile("a.txt", "0123")]
    listing = json.dumps([{"md5": "aa11", "relpath": "b.txt"}, {"md5": "cc22", "relpath": "d/e"}]).encode()
    oid = f"{hashlib.md5(listing).hexdigest()}.dir"
    path = object_path(tmp_path, oid)
    path.parent.mkdir()
    path.write_bytes(listing)
    assert path == tmp_path / oid[:2] / oid[2:]
    assert files_of("out", oid, cached(tmp_path)) == [OutFile("out/b.txt", "aa11"), OutFile("out/d/e", "cc22")]
    path.write_bytes(listing + b" ")
    assert files_of("out", oid, cached(tmp_path)) is None
    path.unlink()
    assert files_of("out", oid, cached(tmp_path)) is None


def test_md5_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert md5(tmp_path / "a") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
