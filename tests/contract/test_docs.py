"""README and docs/: their size, their links, and the names of files, targets and commands in them."""

import re
from pathlib import Path

import pytest

from stages.contracts.ledger import REASONS
from stages.report.doc_tables import FOLDER, FOLDERS, filled
from stages.report.doc_tables import PAGES as PAGES_WITH_TABLES
from stages.report.key_metrics import files_at
from stages.run import COMMANDS, STAGES

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "MODEL_CARD")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
COLUMNS = 120
README_LINES = 120
SHORT_PAGE = 150  # lines: about three screens; a longer page begins with a list of its sections
ON_FIRST_SCREEN = 40  # lines in which that list begins
COMMITTED = ("stages/", "tests/", "tables/", "profiles/", "docs/", "bench/", "plots/", ".ci/", ".github/")
EXAMPLES = ("mystore",)  # the source that the pages add as an example


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading: letters, digits, - and _ in lower case, blanks as -."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def prose(page: Path) -> list[str]:
    """The lines of a page outside fenced code."""
    kept, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if fence:
            fence = "" if mark and line.strip().startswith(fence) else fence
        elif mark:
            fence = mark[1]
        else:
            kept.append(line)
    return kept


def headings(page: Path) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    found = (re.match(r"(#{1,6}) (.+)", line) for line in prose(page))
    return [(len(match[1]), match[2]) for match in found if match]


def anchors(page: Path) -> set[str]:
    """All anchors of a page; a heading that is there again has a number."""
    seen: dict[str, int] = {}
    for _, text in headings(page):
        seen[slug(text)] = seen.get(slug(text), -1) + 1
    return {f"{name}-{number}" if number else name for name, last in seen.items() for number in range(last + 1)}


def links(page: Path) -> list[str]:
    """Targets of a page's relative links and pictures."""
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", "\n".join(prose(page)))
    return [one or other for one, other in found if not re.match(r"[a-z]+:", one or other)]


def code(page: Path) -> str:
    """What a page shows as code, in backticks or fenced."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}\S.*$", text, re.MULTILINE)
    return "\n".join([*fenced, *indented, *re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))])


def of(page: Path) -> str:
    """The name of a test's case."""
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_no_line_outside_a_table_is_wider_than_the_limit(page):
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    wide = [f"{of(page)}:{number}" for number, line in lines if len(line) > COLUMNS and not line.startswith("|")]
    assert not wide, f"lines of more than {COLUMNS} columns: {wide}"


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_a_long_page_begins_with_a_list_of_its_sections(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    if len(lines) <= SHORT_PAGE:
        return
    start = next((number for number, line in enumerate(lines[:ON_FIRST_SCREEN]) if line.startswith("- [")), None)
    assert start is not None, f"{of(page)} has {len(lines)} lines and no list of its sections on its first screen"
    listed = set(re.findall(r"\]\(#([^)]+)\)", "\n".join(lines)))
    missing = [text for level, text in headings(page) if level == 2 and slug(text) not in listed]
    assert not missing, f"{of(page)}: the list of sections lacks {missing}"


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_relative_link_and_anchor_leads_somewhere(page):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or (anchor and aim.suffix == ".md" and anchor not in anchors(aim)):
            broken.append(target)
    assert not broken, f"{of(page)}: broken links {broken}"


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_committed_file_that_a_page_names_is_there(page):
    named = re.findall(r"(?<![\w./<>-])(?:\.?[a-zA-Z][\w-]*/)[\w./-]*\w(?:/|(?![\w<*{]))", code(page))
    committed = {name for name in named if name.startswith(COMMITTED) and not any(word in name for word in EXAMPLES)}
    missing = sorted(name for name in committed if not (ROOT / name).exists())
    assert not missing, f"{of(page)} names files that are not there: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_make_target_and_stage_that_a_page_names_is_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code(page))) <= targets
    assert set(re.findall(r"-m stages\.run ([a-z_]+)", code(page))) <= {*STAGES, *COMMANDS}


@pytest.mark.parametrize("page", PAGES_WITH_TABLES)
def test_tables_of_numbers_are_those_of_the_metrics(page, tmp_path, monkeypatch):
    """Of the working tree, or of the last commit: a run on another CPU moves metrics, and the pages stay."""
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = FOLDERS.get(page, FOLDER)
    if text == filled(ROOT, page, ROOT / folder):
        return
    monkeypatch.chdir(ROOT)
    for path, content in files_at("HEAD", folder).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert text == filled(ROOT, page, tmp_path / folder), f"{page} has numbers of other metrics: run `make docs`"


def test_the_reference_names_every_stage_and_every_reason():
    text = (ROOT / "docs/stages.md").read_text(encoding="utf-8")
    cells = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    assert [stage for stage in STAGES if not re.search(rf"\b{stage}\b", cells)] == []
    reasons = re.search(r"\| about \| reasons \|\n.*?\n\n", text, re.DOTALL)[0]
    named = re.findall(r"\w+", " ".join(line.split("|")[2] for line in reasons.splitlines()[2:] if line))
    assert sorted(named) == sorted(REASONS)
