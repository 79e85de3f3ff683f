"""Small files written the same way every time, hashes, and listings in a fixed order."""

import codecs
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import StageError, shown
from stages.core.names import plain

# libyaml's parser, where PyYAML was built with it (its wheels are): params.yaml takes 10 ms instead of 120.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def parse_plain_yaml(text: str) -> Any:
    """Content of a YAML document in which every value stays text, 001, 1e3, no and yes included.

    Raises:
        yaml.YAMLError: the text is no YAML document.
    """
    return yaml.load(text, Loader=_PLAIN_LOADER)


def parse_yaml(text: str) -> Any:
    """Content of a YAML document.

    Raises:
        yaml.YAMLError: the text is no YAML document.
    """
    return yaml.load(text, Loader=_LOADER)


def rounded(value: Any) -> Any:
    """The value with every float inside rounded to 6 digits, so that a diff never shows noise of the last bits."""
    if isinstance(value, dict):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    # Adding 0.0 turns a negative zero into zero.
    return round(value, 6) + 0.0 if isinstance(value, float) else value


def write_json(path: Path, content: Any) -> None:
    """JSON with sorted keys, floats rounded to 6 digits and a closing newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rounded(content), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        StageError: when the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes())  # in UTF-8, 16 or 32, with a mark in front or without
    except FileNotFoundError:
        raise StageError(f"{path}: no such file. It is made by an earlier stage: run `dvc repro`.") from None
    except (ValueError, RecursionError) as error:
        raise StageError(f"{path}: not valid JSON: {error}. Replace the file with an undamaged copy.") from None


def write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """A plot CSV: floats rounded to 6 digits."""
    import csv

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rounded(rows))


def read_text(path: Path, errors: str = "strict") -> str:
    """Text in UTF-8, or in UTF-16 with a byte order mark, as Windows writes it; composed (NFC).

    Raises:
        UnicodeDecodeError: the text is neither, and ``errors`` is strict.
    """
    data = path.read_bytes()
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return plain(data.decode("utf-16" if marked else "utf-8-sig", errors))


def read_csv(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table with their line numbers. Every value stays text, 001, 1e3, NA and no included.

    The delimiter is the one of comma, semicolon and tab that the header has most often, or the one that Excel's first
    line ``sep=;`` names. Spaces around column names are removed; rows without any value are skipped.

    Raises:
        StageError: when the file or one of ``columns`` is missing, or it has no rows.
    """
    import csv
    import io

    if not path.is_file():
        raise StageError(f"{path}: no such file. Expected a CSV with columns {', '.join(columns)}.")
    csv.field_size_limit(2**31 - 1)
    try:
        text = read_text(path)
        before = 1 if text[:5].lower().startswith("sep=") else 0
        head, stream = text.split("\n")[before : before + 1], io.StringIO(text, newline="")
        delimiter = text[4] if before else max(",;\t", key=lambda sign: head[0].count(sign))
        for _ in range(before):
            stream.readline()
        reader = csv.DictReader(stream, delimiter=delimiter)
        reader.fieldnames = header = [name.strip() for name in reader.fieldnames or []]
        # DictReader puts fields beyond the last column under the key None.
        read = ((reader.line_num, {name: value or "" for name, value in row.items() if name}) for row in reader)
        rows = [(number + before, row) for number, row in read if any(row.values())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise StageError(f"{path}: not a CSV in UTF-8 ({error}). Save it as CSV UTF-8.") from None
    missing = [column for column in columns if column not in header]
    if missing:
        raise StageError(
            f"{path}, line {1 + before}: no column {shown(missing)}; it has {shown(header)}. "
            "Correct the file, or the column names in params.yaml."
        )
    if not rows:
        raise StageError(f"{path}: a header but no rows. Expected one row for each image.")
    return rows


def fresh_folder(path: Path) -> Path:
    """An empty folder at ``path``: what lay there is removed; of a link the link alone, never what it leads to."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def listing(folder: Path, pattern: str, what: str) -> list[Path]:
    """Files below ``folder`` that match ``pattern``, sorted.

    Raises:
        StageError: when the folder is missing.
    """
    if not folder.is_dir():
        raise StageError(f"{folder}: no such folder; expected {what}. Unpack or link the download there.")
    return sorted(folder.glob(pattern))


def digest(*values: str | bytes) -> str:
    """sha256 over the values in order, as 64 hex digits."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(value if isinstance(value, bytes) else value.encode())
        sha.update(b"\0")
    return sha.hexdigest()


def file_digest(*paths: Path) -> str:
    """sha256 over the contents of files and of the files below folders, in sorted order."""
    sha = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                sha.update(file.relative_to(path.parent).as_posix().encode())
                sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()
