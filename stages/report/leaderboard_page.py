"""docs/leaderboard.md: every encoder on every benchmark, next to chance and to published scores (`make docs`).

Usage: python -m stages.run leaderboard_page [OUT]      (docs/leaderboard.md)

Reads:  data/<profile>/report/retrieval/*.json of every profile that has them (`dvc repro`, or `dvc pull`),
        data/<profile>/report/detector/*.json of the same profiles,
        metrics/<profile>/external/*.json (vectors that another program computed, score_vectors.py),
        docs/published.csv, and `demo_sources` of profiles/<profile>.yaml: if it names a source, the data is
        drawn, and the page says so above published numbers.
"""

import logging
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import read_json
from stages.core.params import load_params
from stages.report.detectors import PREFIX, detector_section, read_detectors
from stages.report.leaderboard import (
    Columns,
    Published,
    entry,
    prose,
    published_rows,
    read_board,
    read_published,
    sources,
)
from stages.retrieval.catalogue import HIT, LEADING, Place, shown_at
from stages.retrieval.category import NEIGHBORS, TOPS
from stages.retrieval.evaluate_retrieval import CHANCE
from stages.retrieval.regions import HITS
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

CATEGORY_COLUMNS: Columns = tuple((f"category_top_{n}", f"{NEIGHBORS}-NN top-{n}") for n in TOPS)
SOFTMAX_COLUMNS: Columns = tuple((f"softmax_top_{n}", f"top-{n}") for n in TOPS)
INTERVALS = {measure.key: measure.ends for measure in shown_at(Place.BRACKETS)}
SAME_BENCHMARK = ("n_scored", "n_missed", "n_without_match", "gallery")  # differ where the benchmark was built anew
INTRO = """# Leaderboard

Every encoder on every benchmark, next to chance and to published scores. `make docs` writes this page from
`data/<profile>/report/`, `metrics/<profile>/external/` and `docs/published.csv`.
"""
RULES = """## How to read the tables

- **One evaluator.** It scored every row except the published ones, on the same queries and the same gallery (rules:
  `stages/retrieval/similarity.py`, formulas: `stages/retrieval/catalogue.py`). Ties count against the encoder. A query
  whose item was not detected is a miss. A query without a right answer in the gallery is left out.
- **Columns.** hit@k: the share of queries with a right answer among the first k; a k larger than the gallery means the
  whole gallery. Brackets: 95 % bootstrap intervals over queries; if they overlap widely, the benchmark does not tell
  the encoders apart. Input: side of the images in pixels. Size: dimensions of a vector. Parameters: numbers in the
  encoder's weight files.
- **Remarks.** An encoder that *kept its start* was best on validation before its training, so it has the features that
  it started from. An encoder *below its start* was better on validation before its training than at the kept epoch.
  *External* vectors were computed by another program and scored with
  `python -m stages.run score_vectors --embeddings FILE --benchmark NAME --name NAME`.
"""
VOTE = (
    f"{NEIGHBORS}-NN top-n: the query's category is among the first n by the vote of its {NEIGHBORS} nearest gallery "
    "images (`stages/retrieval/category.py`). The row of chance names the n most frequent categories."
)
SOFTMAX = (
    "Category prediction by the encoder's own softmax, which is another measure than the vote. The scores are for the "
    "queries whose category the encoder has learned; compare with a published row only if it has learned all of the "
    "benchmark's categories. Chance names any n of its categories, majority the n most frequent ones of the gallery, "
    "for the same queries."
)
CLEAN = (
    "A row with only a name is about all of upstream's queries, as published scores are. A *clean* row leaves out the "
    "queries that nearly repeat a training image; the gallery stays whole."
)
PUBLISHED = (
    "Rows in italics are **published, not measured in this project**: other code, other training, the publication's "
    "own protocol. A published row is below this project's row of the same method; the others are at the end."
)
DRAWN = (
    "This profile's images are **drawn by the project**. Published rows are about the real data set of this "
    "benchmark's name, so they cannot be compared with the rows above them."
)

CLASSIFIER = "classifier_"  # starts the benchmarks of published figures of heads, which docs/classifier.md shows


def million(count: int) -> str:
    """A number of parameters, short."""
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count / 1e3:.1f} k"


def columns_of(board: dict[str, Any], published: list[Published], benchmark: str) -> Columns:
    """Metrics that the page shows, also at every k of a published number; and the vote if the benchmark has one."""
    measures = shown_at(Place.PAGE, [row.metric for row in published if row.benchmark == benchmark])
    voted = any(key in entries.get(benchmark, {}) for entries in board.values() for key, _ in CATEGORY_COLUMNS)
    return (*((measure.key, measure.label) for measure in measures), *(CATEGORY_COLUMNS if voted else ()))


def cells(line: dict[str, Any], columns: Columns) -> list[str]:
    """The figures of one row; a dash where there is none."""
    texts = []
    for key, _ in columns:
        text = f"{line[key]:.3f}" if key in line else "-"
        if key in INTERVALS and INTERVALS[key][0] in line:
            low, high = (line[end] for end in INTERVALS[key])
            text += f" [{low:.3f}, {high:.3f}]"
        texts.append(text)
    return texts


def measured_rows(
    board: dict[str, Any], external: dict[str, Any], benchmark: str, columns: Columns, below: dict[str, list[list[str]]]
) -> list[list[str]]:
    """Rows of encoders and external vectors, the best first by what leads the page, and chance last.

    Args:
        below: encoder -> published rows of its method; those of an encoder that has a row are removed.
    """
    lines = [(name, entries[benchmark]) for name, entries in board.items() if name != CHANCE and benchmark in entries]
    asked = [tuple(line[key] for key in SAME_BENCHMARK) for _, line in lines[:1]]
    for name, own in external.items():
        if benchmark in own:
            line = entry(own[benchmark])
            same = not asked or asked[0] == tuple(line[key] for key in SAME_BENCHMARK)
            remark = "external" if same else "external; another version of the benchmark, score it again"
            lines.append((f"{name} ({remark})", line))
    lines.sort(key=lambda item: (LEADING.order(item[1].get(LEADING.key)), item[0]))
    rows = []
    for name, line in lines:
        size = million(line["parameters"]) if "parameters" in line else "-"
        about = [str(line.get("image_size", "-")), str(line["dimensions"]), size]
        rows.append([f"{name}{remark_on_start(line)}", *about, *cells(line, columns)])
        if "without_flip" in line:
            rows.append([f"{name}, without flip", *about, *cells(line["without_flip"], columns)])
        if "clean" in line:
            rows.append([f"{name}, clean", *about, *cells(line["clean"], columns)])
        for number, scores in line.get("regions", {}).items():
            plain = ", without flip" if "without_flip" in line else ""
            rows.append([f"{name}, region {number} alone{plain}", *about[:1], "-", *about[2:], *cells(scores, columns)])
        rows += below.pop(name, [])
    return [*rows, ["chance", "-", "-", "-", *cells(board.get(CHANCE, {}).get(benchmark, {}), columns)]]


def below_start(line: dict[str, Any]) -> bool:
    """Whether the kept weights of an encoder score below those that it started from, on validation."""
    return "on_validation" in line and line["on_validation"]["kept"] < line["on_validation"]["before"]


def remark_on_start(line: dict[str, Any]) -> str:
    """The remark on the encoder's training that is appended to the name of its row."""
    if line.get("kept_epoch") == 0:
        return " (kept its start)"
    return " (below its start)" if below_start(line) else ""


def falls(board: dict[str, Any]) -> list[str]:
    """A paragraph on the encoders that end below their start on validation, with both scores; empty if none does."""
    notes = []
    for name, entries in board.items():
        line: dict[str, Any] = next(iter(entries.values()), {})
        if below_start(line):
            of = line["on_validation"]
            notes.append(f"{name} ({of['figure']} {of['before']:.3f} before its training, {of['kept']:.3f} after it)")
    intro = "Training lowered the validation score of these encoders, even if their test score rose"
    return [*prose(f"{intro}: {', '.join(notes)}."), ""] if notes else []


def softmax_table(board: dict[str, Any], published: list[Published], benchmark: str) -> list[str]:
    """A table of category prediction by the encoders' own category paths and of published numbers; may be empty."""

    def row(name: str, scores: dict[str, Any], of: str = "", about: str = "-") -> list[str]:
        values = (f"{scores[key]:.3f}" if (key := f"{of}top_{n}") in scores else "-" for n in TOPS)
        queries = f"{scores['n_scored']} of {scores['n_scored'] + scores['n_unknown']}"
        return [name, about, f"{scores['known']} of {scores['classes']}", queries, *values]

    rows = []
    for name, entries in board.items():
        scores = entries.get(benchmark, {}).get("softmax", {})
        if not scores.get("n_scored"):
            continue
        parameters = entries[benchmark].get("parameters")
        size = million(parameters) if parameters else "-"
        rows.append(row(name, scores, about=size))
        views = {"without flip": scores.get("without_flip"), "clean": scores.get("clean")}
        rows += [row(f"{name}, {view}", of_view, about=size) for view, of_view in views.items() if of_view]
        rows += [row(f"{name}: {of}", scores, f"{of}_") for of in ("chance", "majority")]
    for theirs in published_rows(published, benchmark, SOFTMAX_COLUMNS).values():
        rows += theirs
    if not rows:
        return []
    header = ["encoder", "parameters", "categories known", "queries", *(title for _, title in SOFTMAX_COLUMNS)]
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    table = ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(cells_of) + " |" for cells_of in rows)]
    return [*prose(SOFTMAX), "", *table, ""]


def recommended(name: str, line: dict[str, Any]) -> list[str]:
    """A paragraph on the recommendations of an encoder with attended regions; nothing for other encoders.

    It compares the list in which the regions take turns with the ranking by whole images. If the gallery has several
    categories, it says how many of them a person sees.
    """
    scores = line.get("recommendation")
    if not scores or scores["n_scored"] == scores["n_missed"]:  # no query has a match and was detected
        return []
    ways = {"list": "in the list in which its regions take turns", "whole": "in its ranking by whole images"}
    notes = []
    for way, text in ways.items():
        several = f"{way}_categories" in scores
        seen = f", with {scores[f'{way}_categories']:.1f} categories among the first ten" if several else ""
        near, far = ((measure.label, f"{scores[f'{way}_{measure.key}']:.3f}") for measure in HIT.at(HITS))
        notes.append(f"{text} {near[0]} is {near[1]}, {far[0]} {far[1]}{seen}")
    plain = ", all without flip" if "without_flip" in line else ""
    text = f"Recommendations of {name} for {scores['n_scored']} queries{plain}: {'; '.join(notes)}."
    return [*prose(text), ""]


def markdown_table(rows: list[list[str]], columns: Columns) -> list[str]:
    """Rows of encoder, input, size, parameters and ``columns``, under these headings."""
    header = ["encoder", "input", "size", "parameters", *(title for _, title in columns)]
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]


def benchmark_section(
    benchmark: str, board: dict[str, Any], external: dict[str, Any], published: list[Published], drawn: bool
) -> list[str]:
    """Heading, what was scored, the table and the sources of its published rows."""
    line: dict[str, Any] = next((entries[benchmark] for name, entries in board.items() if name != CHANCE), {})
    lines = [f"### {benchmark}", ""]
    if line:
        text = f"{line['n_scored']} queries, {line['gallery']} gallery rows."
        if line["n_missed"]:
            text += f" Misses because nothing was detected: {line['n_missed']}."
        if line["n_without_match"]:
            text += f" Left out because the gallery has no right answer: {line['n_without_match']} more queries."
        lines += [*prose(text), ""]
    if "clean" in line:
        counts = f"{line['clean']['n_left_out']} are left out, {line['clean']['n_scored']} stay"
        left_out = f"{CLEAN} In this benchmark, {counts}."
        lines += [*prose(left_out), ""]
    columns = columns_of(board, published, benchmark)
    below = published_rows(published, benchmark, columns)
    softmax = softmax_table(board, published, benchmark)
    of_softmax = published_rows(published, benchmark, SOFTMAX_COLUMNS)
    has_published = bool(below or of_softmax)
    rows = measured_rows(board, external, benchmark, columns, below)
    rows += [row for rest in below.values() for row in rest]
    lines += [*markdown_table(rows, columns), ""]
    if CATEGORY_COLUMNS[0] in columns:
        lines += [*prose(VOTE), ""]
    lines += softmax
    lines += [sentence for name, entries in board.items() for sentence in recommended(name, entries.get(benchmark, {}))]
    if has_published:
        lines += [
            *prose(f"{PUBLISHED} {DRAWN}" if drawn else PUBLISHED),
            "",
            *sources(published, benchmark, columns + SOFTMAX_COLUMNS),
            "",
        ]
    return lines


def page(
    boards: dict[str, dict[str, Any]],
    externals: dict[str, dict[str, Any]],
    published: list[Published],
    drawn: set[str],
    detectors: dict[str, dict[str, Any]] | None = None,
) -> str:
    """The whole page.

    Args:
        boards: profile -> encoder -> benchmark -> line, as leaderboard.py writes it.
        externals: profile -> name -> benchmark -> what the evaluator gave for external vectors.
        drawn: profiles whose data the project draws.
        detectors: profile -> detector -> its figures, as evaluate_detector writes them.
    """
    lines: list[str] = []
    on_page: set[str] = set()
    for profile, board in boards.items():
        lines += [f"## Profile {profile}" + (" (drawn data)" if profile in drawn else ""), ""]
        lines += falls(board)
        benchmarks = sorted({name for entries in board.values() for name in entries})
        on_page |= set(benchmarks)
        for benchmark in benchmarks:
            lines += benchmark_section(benchmark, board, externals.get(profile, {}), published, profile in drawn)
        own = (detectors or {}).get(profile, {})
        on_page |= {PREFIX + name for name in own}
        lines += detector_section(own, published, prose(f"{PUBLISHED} {DRAWN}" if profile in drawn else PUBLISHED))
    rest = {row.benchmark for row in published if not row.benchmark.startswith(CLASSIFIER)} - on_page
    if rest:
        lines += [*prose(f"`docs/published.csv` also has numbers for: {shown(rest, 40)}. None is on this page."), ""]
    return "\n".join([INTRO, *contents([RULES, *lines]), "", RULES, *lines]).rstrip() + "\n"


def contents(lines: list[str]) -> list[str]:
    """A list of links to the headings of two and three levels in ``lines``, as GitHub names their anchors."""
    entries, seen = [], dict[str, int]()
    for line in "\n".join(lines).split("\n"):
        level, _, title = line.partition(" ")
        if level in ("##", "###"):
            anchor = "".join(sign for sign in title.lower() if sign.isalnum() or sign in " -_").replace(" ", "-")
            seen[anchor] = seen.get(anchor, -1) + 1
            again = f"-{seen[anchor]}" if seen[anchor] else ""
            entries.append(f"{'  ' if level == '###' else ''}- [{title}](#{anchor}{again})")
    return entries


def read_externals(folder: Path) -> dict[str, Any]:
    """Name -> benchmark -> figures."""
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def write_page(out: Path) -> None:
    """Read every profile's results, write the page.

    Raises:
        StageError: when no profile has any yet.
    """
    folders = {path.parts[1]: path for path in sorted(Path("data").glob("*/report/retrieval"))}
    boards = {profile: read_board(folder) for profile, folder in folders.items()}
    if not boards:
        raise StageError("no data/<profile>/report/retrieval. Run `dvc repro evaluate_retrieval`.")
    externals = {profile: read_externals(Path("metrics") / profile / "external") for profile in boards}
    profiles = {name: Path("profiles") / f"{name}.yaml" for name in boards}
    drawn = {name for name, path in profiles.items() if path.is_file() and load_params(path).get("demo_sources")}
    detectors = {profile: read_detectors(folder.parent / "detector") for profile, folder in folders.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    published = read_published(Path("docs/published.csv"))
    out.write_text(page(boards, externals, published, drawn, detectors), encoding="utf-8")
    log.info(f"{out}: {len(boards)} profiles")


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/leaderboard.md"))
    args = parser.parse_args()
    with one_message():
        write_page(args.out)
