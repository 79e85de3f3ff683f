"""Tables as people keep them: CSV with any usual delimiter and encoding, TSV, Excel, JSON, Parquet.

Every value is the text that stands there: no number, date or truth value is guessed, so 001 and NA stay what they are.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.names import plain

EXCEL, JSON, PARQUET = (".xlsx", ".xlsm"), (".jsonl", ".ndjson", ".json"), (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", *EXCEL, *JSON, *PARQUET)
FORMATS = "CSV, TSV, Excel (.xlsx), JSON (a list of objects, or one a line) or Parquet"
# Formats of tables that are recognized but not read.
UNREAD = {
    ".xls": "Excel's format of before 2007",
    ".xlsb": "Excel's binary format",
    ".ods": "LibreOffice's format",
    ".numbers": "Apple Numbers' format",
}
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_TRIED = 200  # records that tell the delimiter
# Code pages that fashion catalogues come in, the likelier first; a guess over all of Python's finds exotic ones.
_CODE_PAGES = ["cp1252", "utf_8", "utf_16", "cp1250", "cp1251", "cp932", "gb18030", "big5", "cp949", "cp1254", "cp1253"]


@dataclass(frozen=True)
class TextTable:
    """A table of texts: its rows with their line numbers, and the format that it was read as, in words."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]
    read_as: str


def read_rows(path: Path, columns: Sequence[str] = ()) -> TextTable:
    """The rows of a table in any format; spaces around names and values are removed.

    Args:
        columns: that it must have.

    Raises:
        StageError: no such file, not of these kinds or damaged, a column is missing, a row has more values than there
            are columns, or there are no rows.
    """
    if not path.is_file():
        named = f" with columns {', '.join(columns)}" if columns else ""
        raise StageError(f"{path}: no such file. Expected a table{named}, as {FORMATS}.")
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        raise StageError(f"{path}: {UNREAD[suffix]} is not read. Save it as .xlsx or as CSV.")
    reader = _excel if suffix in EXCEL else _json if suffix in JSON else _text
    try:
        header, records, read_as = _parquet(path) if suffix in PARQUET else reader(path)
        names = [plain(name.strip()) for name in header]
        records = list(records)
        _check_widths(names, records, path)
        rows = [
            (number, {name: plain(value.strip()) for name, value in zip(names, values, strict=False) if name})
            for number, values in records
            if any(value.strip() for value in values)
        ]
    except StageError:
        raise
    except Exception as error:  # openpyxl, pyarrow and csv have errors of their own for damaged files
        raise StageError(f"{path}: cannot be read as {FORMATS}: {' '.join(str(error).split())[:200]}.") from None
    if repeated := {name for name in names if name and names.count(name) > 1}:
        raise StageError(f"{path}: column {shown(repeated)} stands there twice. Rename one of the two.")
    if missing := [column for column in columns if column not in names]:
        raise StageError(
            f"{path}: no column {shown(missing)}; it has {shown(name for name in names if name)} ({read_as}). "
            "Correct the column names in params.yaml."
        )
    if not rows:
        raise StageError(f"{path}: a header but no rows. Expected one row for each image.")
    blank = dict.fromkeys((name for name in names if name), "")
    return TextTable(list(blank), [(number, blank | row) for number, row in rows], read_as)


Content = tuple[list[str], Iterator[tuple[int, list[str]]], str]


def _text(path: Path) -> Content:
    text, encoding = decoded(path.read_bytes(), path)
    start = 1
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own hint
        delimiter, text, start = first.strip()[4], rest, 2
    else:
        titled = rest and not any(sign in first for sign in DELIMITERS)
        if titled and max(_fit(rest, sign) for sign in DELIMITERS)[0] == 1:
            text, start = rest, 2  # the table's own name, as Apple Numbers writes it above the header
        delimiter = find_delimiter(text)
    _check_quotes(text, delimiter, path, start - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(reader, [])
    records = ((reader.line_num + start - 1, values) for values in reader)
    return header, records, f"{DELIMITERS.get(delimiter, delimiter)}-separated, {encoding}"


def _check_widths(names: list[str], records: list[tuple[int, list[str]]], path: Path) -> None:
    """Refuse rows with more values than the header has columns: their values would be in the wrong columns."""
    wide = [number for number, values in records if any(value.strip() for value in values[len(names) :])]
    if wide:
        more = f", and so {len(wide) - 1} other rows" if len(wide) > 1 else ""
        raise StageError(
            f"{path}, line {wide[0]}: more values than the {len(names)} columns of the header{more}. Put quotes around "
            "a value that holds the delimiter, or name the column."
        )


def _check_quotes(text: str, delimiter: str, path: Path, above: int) -> None:
    """Refuse a quote that is never closed: the rest of the file would be one value.

    Args:
        above: lines of the file above ``text``.
    """
    reader, begins = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1
    try:
        for _ in reader:
            begins = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise StageError(
                f"{path}, line {begins + above}: a quote is opened and never closed. Close it, or take it out."
            ) from None


def decoded(data: bytes, path: Path) -> tuple[str, str]:
    """The text of a file and the name of its encoding: that of a byte order mark, UTF-8, or the likeliest code page.

    Raises:
        StageError: when no encoding fits.
    """
    for bom, encoding, name in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
    ):
        if data.startswith(bom):
            return data.decode(encoding), name
    try:
        text = data.decode("utf-8")
        if "\0" not in text:
            return text, "UTF-8"
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data, cp_isolation=_CODE_PAGES))
    # A few accents fit several code pages as well as each other.
    best = min(
        matches, key=lambda guess: (guess.chaos, -guess.coherence, _CODE_PAGES.index(guess.encoding)), default=None
    )
    if best is None:
        raise StageError(f"{path}: not text in an encoding that is known. Save it as CSV UTF-8.")
    return str(best), f"{best.encoding}, guessed"


def find_delimiter(text: str) -> str:
    """The delimiter by which most records have as many fields as the header; a comma if none separates fields."""
    return max(DELIMITERS, key=lambda delimiter: _fit(text, delimiter))


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """Share of records with as many fields as the header (rounded to tenths), and the number of fields; 0 below 2."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    counts = [len(values) for values, _ in zip(reader, range(_TRIED), strict=False) if values]
    width = counts[0] if counts else 0
    if width < 2:
        return 0.0, 0
    return round(sum(count == width for count in counts) / len(counts), 1), width


def _json(path: Path) -> Content:
    """Rows of a JSON list of objects, numbered from 1, or of one object a line."""
    text, encoding = decoded(path.read_bytes(), path)
    listed = text.lstrip().startswith("[")
    rows = []
    for number, line in [(1, text)] if listed else enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written: 1.50 is no 1.5, and 12345678901234567890 keeps its digits.
            content = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            expected = "a list of objects" if listed else "a list of objects, or an object a line"
            raise StageError(f"{path}, line {number}: not JSON: {error}. Expected {expected}.") from None
        rows += list(enumerate(content, start=1)) if listed else [(number, content)]
    if wrong := [(number, row) for number, row in rows if not isinstance(row, dict)]:
        where, kind = f"{'entry' if listed else 'line'} {wrong[0][0]}", type(wrong[0][1]).__name__
        raise StageError(f"{path}, {where}: {kind}, expected a list of objects, or an object a line.")
    header = list(dict.fromkeys(name for _, row in rows for name in row))
    return header, ((number, [_plain(row.get(name)) for name in header]) for number, row in rows), f"JSON, {encoding}"


def _excel(path: Path) -> Content:
    from openpyxl import load_workbook

    # Not read_only: that believes the sheet's stated size, which other programs than Excel often leave wrong.
    book = load_workbook(path, data_only=True)
    sheets = [sheet for sheet in book.worksheets if any(sheet.iter_rows(values_only=True))]
    if not sheets:
        raise StageError(f"{path}: no sheet with a header and rows.")
    first, ignored = sheets[0], [sheet.title for sheet in sheets[1:]]
    rows = [[_plain(value) for value in row] for row in first.iter_rows(values_only=True)]
    for merged in first.merged_cells.ranges:  # one value next to several rows is the value of each
        column, upper = merged.min_col - 1, merged.min_row - 1
        for row in rows[upper + 1 : merged.max_row]:
            row[column] = rows[upper][column]
    top = next(number for number, row in enumerate(rows) if sum(map(bool, row)) > 1 or number == len(rows) - 1)
    description = f"Excel, sheet {first.title}" + (f"; not read: {shown(ignored)}" if ignored else "")
    return rows[top], ((number, row) for number, row in enumerate(rows[top + 1 :], start=top + 2)), description


def _parquet(path: Path) -> Content:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows = (list(map(_plain, row.values())) for row in table.to_pylist())
    return list(table.column_names), ((number, row) for number, row in enumerate(rows, start=1)), "Parquet"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # Excel and Parquet keep whole numbers as floats
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return value["path"]  # a picture as Hugging Face's data sets store it
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
