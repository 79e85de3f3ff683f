"""Tables in the forms that people save them in: every value stays the text that stands there."""

import datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError
from stages.core.table_rows import read_rows

HEADER = ["image", "label", "price"]
ROWS = [["001.jpg", "Mütze, rot", "1.50"], ["2", "NA", ""]]
RECORDS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def records(path):
    return [row for _, row in read_rows(path).rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_usual_delimiters_are_told_by_the_records(tmp_path, delimiter):
    lines = [HEADER, ["001.jpg", '"Mütze, rot"', "1.50"], ROWS[1]]
    (tmp_path / "t.csv").write_text("".join(delimiter.join(line) + "\r\n" for line in lines), encoding="utf-8")
    assert records(tmp_path / "t.csv") == RECORDS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_usual_encodings_are_told_by_mark_or_by_what_fits(tmp_path, encoding):
    text = "image;label;price\n001.jpg;Mütze, rot;1.50\n2;NA;\n"
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert records(tmp_path / "t.csv") == RECORDS


@pytest.mark.parametrize(
    ("encoding", "label"),
    [("cp1252", "Jupe plissée à carreaux"), ("cp1251", "Платье летнее"),
     ("cp932", "ワンピース")],
)  # fmt: skip
def test_code_pages_of_other_languages_are_guessed(tmp_path, encoding, label):
    (tmp_path / "t.csv").write_bytes(f"image,label\na.jpg,{label}\nb.jpg,{label}\n".encode(encoding))
    table = read_rows(tmp_path / "t.csv")
    assert table.rows[0][1]["label"] == label
    assert "guessed" in table.read_as


def test_excels_hint_of_the_delimiter_is_followed_and_lines_keep_their_numbers(tmp_path):
    (tmp_path / "t.csv").write_text('sep=;\nimage;label\na.jpg;"Hat, red"\n', encoding="utf-8")
    assert read_rows(tmp_path / "t.csv").rows == [(3, {"image": "a.jpg", "label": "Hat, red"})]


def test_an_excel_sheet_gives_texts_and_whole_numbers_as_they_are_shown(tmp_path):
    book = openpyxl.Workbook()
    for row in [HEADER, ["001.jpg", "Mütze, rot", "1.50"], [2, "NA", None]]:
        book.active.append(row)
    book.active.append([3.0, datetime.date(2024, 5, 1), True])
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "t.xlsx")
    table = read_rows(tmp_path / "t.xlsx")
    assert [row for _, row in table.rows[:2]] == RECORDS
    assert table.rows[2] == (4, {"image": "3", "label": "2024-05-01 00:00:00", "price": "true"})
    assert "not read: more" in table.read_as


def test_a_title_above_the_header_of_a_sheet_is_no_header(tmp_path):
    book = openpyxl.Workbook()
    for row in [["My shop"], [], ["image", "label"], ["a.jpg", "Hat"]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert read_rows(tmp_path / "t.xlsx").rows == [(4, {"image": "a.jpg", "label": "Hat"})]


def test_json_lines_keep_numbers_as_they_are_written_and_missing_keys_are_empty(tmp_path):
    text = '{"image": "001.jpg", "label": "Mütze, rot", "price": 1.50}\n\n{"image": 2, "label": "NA"}\n'
    (tmp_path / "t.jsonl").write_text(text, encoding="utf-8")
    assert records(tmp_path / "t.jsonl") == RECORDS
    assert [number for number, _ in read_rows(tmp_path / "t.jsonl").rows] == [1, 3]


def test_a_json_list_of_objects_is_a_table(tmp_path):
    text = '\n[{"image": "001.jpg",\n"label": "Mütze, rot", "price": 1.50},\n {"image": 2, "label": "NA"}]'
    (tmp_path / "t.json").write_text(text, encoding="utf-8")
    assert records(tmp_path / "t.json") == RECORDS


def test_merged_cells_beside_several_rows_are_the_value_of_each(tmp_path):
    book = openpyxl.Workbook()
    for row in [["Spring"], ["image", "label"], ["a.jpg", "Hat"], ["b.jpg"], ["c.jpg"], ["d.jpg", "Shirt"], ["e.jpg"]]:
        book.active.append(row)
    book.active.merge_cells("A1:B1")
    book.active.merge_cells("B3:B5")
    book.save(tmp_path / "t.xlsx")
    labels = [row["label"] for _, row in read_rows(tmp_path / "t.xlsx").rows]
    assert labels == ["Hat", "Hat", "Hat", "Shirt", ""]


def test_a_name_above_the_header_of_a_csv_is_no_header(tmp_path):
    (tmp_path / "t.csv").write_text("Table 1\nimage;label\na.jpg;Hat, red\nb.jpg;Cap\n")
    assert read_rows(tmp_path / "t.csv").rows == [
        (3, {"image": "a.jpg", "label": "Hat, red"}), (4, {"image": "b.jpg", "label": "Cap"})
    ]  # fmt: skip
    (tmp_path / "t.csv").write_text("title\nNice hat\nShirt, red\n")
    with pytest.raises(StageError, match="line 3: more values than the 1 columns"):
        read_rows(tmp_path / "t.csv")


def test_parquet_gives_texts(tmp_path):
    table = pa.table({"image": ["001.jpg", "2"], "label": ["Mütze, rot", "NA"], "price": ["1.50", None]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert records(tmp_path / "t.parquet") == RECORDS
    pq.write_table(pa.table({"image": [{"bytes": b"x", "path": "a.jpg"}], "id": [7]}), tmp_path / "h.parquet")
    assert records(tmp_path / "h.parquet") == [{"image": "a.jpg", "id": "7"}]


def test_spaces_around_names_and_values_and_empty_lines_do_not_count(tmp_path):
    (tmp_path / "t.csv").write_text("image , label\n a.jpg ,Hat \n,\n\n", encoding="utf-8")
    assert records(tmp_path / "t.csv") == [{"image": "a.jpg", "label": "Hat"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"image,price\n", "a header but no rows"),
        ("t.csv", b"image,image\na,b\n", "column image stands there twice"),
        ("t.csv", b"image,label\na,b\n", r"no column price; it has image, label \(comma-separated, UTF-8\)"),
        ("t.xls", b"\xd0\xcf\x11\xe0", "before 2007 is not read. Save it as .xlsx or as CSV"),
        ("t.xlsx", b"not a zip", "t.xlsx: cannot be read as"),
        ("t.parquet", b"not parquet", "t.parquet: cannot be read as"),
        ("t.jsonl", b'{"image": 1}\n[1]\n', "t.jsonl, line 2: list, expected a list of objects, or an object a line"),
        ("t.jsonl", b"{image: 1}\n", "t.jsonl, line 1: not JSON"),
        (
            "t.json",
            b'{\n"images": []\n}',
            "t.json, line 1: not JSON: .* Expected a list of objects, or an object a line",
        ),
        ("t.json", b'[{"image": 1}, 2]', "t.json, entry 2: str, expected a list of objects"),
        ("t.ods", b"PK", "LibreOffice's format is not read. Save it as .xlsx or as CSV"),
        ("t.numbers", b"PK", "Apple Numbers' format is not read. Save it as .xlsx or as CSV"),
    ],
)
def test_what_is_no_such_table_is_one_message(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StageError, match=message):
        read_rows(tmp_path / name, ["price"])


def test_row_with_more_values_than_columns_is_one_message_with_its_line(tmp_path):
    """An unquoted comma would put every value behind it into the next column."""
    (tmp_path / "t.csv").write_text("image,label,sender\na.jpg,hat,s1\nb.jpg,nice hat, blue,s2\nc.jpg,hat,s3,\n")
    with pytest.raises(StageError, match=r"t\.csv, line 3: more values than the 3 columns of the header\. Put quotes"):
        read_rows(tmp_path / "t.csv")


def test_quote_that_is_never_closed_is_one_message_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_text('image,label\na.jpg,"hat\nwith a brim"\nb.jpg,"shirt\nc.jpg,hat\nd.jpg,hat\n')
    with pytest.raises(StageError, match=r"t\.csv, line 4: a quote is opened and never closed"):
        read_rows(tmp_path / "t.csv")
