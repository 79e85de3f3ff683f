"""Names and spelling of the code and the profiles: a newcomer meets the field's terms, once for each thing."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "stages").rglob("*.py"))
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))

# Placeholders, and words of this project alone, where the field has a term.
BANNED = {
    "one", "found", "here", "there", "mine", "other", "others", "part", "parts", "beside", "rung", "rungs", "cue", "cues",
    "mark", "marks", "cut", "cuts", "headline", "headlines", "probe", "figures", "Probe", "Rung", "Headline", "Found",
    "said", "told", "Asked", "Look", "Shown", "shelf", "Shelf",
}  # fmt: skip
# (file below stages, name) -> why it stays.
ALLOWED: dict[tuple[str, str], str] = {}

BRITISH = re.compile(
    r"\b\w*(?:colour|grey|centre(?![a-z])|centre[ds](?![a-z])|centring|neighbour|behaviour|favour|honour|labell|modell"
    r"|travell|cancell|artefact|learnt|whilst|analys(?:e[ds]?|ing)(?![a-z])"
    r"|(?:normal|standard|recogn|optim|minim|maxim|local|regular|general|special|summar|initial|organ|categor|synchron"
    r"|serial|visual|penal|random|real|util|memor)is(?:e[ds]?|ing|ation)(?![a-z]))\w*",
    re.IGNORECASE,
)
# A British word in the text of stages or profiles -> why it stays.
UPSTREAM = {
    "baseColour": "a column of Fashion Products",
    "Grey": "a value of Fashion Products",
}


def names_in(tree: ast.AST) -> set[str]:
    """Names that the code binds: functions, classes, arguments, variables, attributes of self, fields."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name.strip("_") for name in names}


def british_in(text: str) -> set[str]:
    return {word for word in (match[0] for match in BRITISH.finditer(text)) if word.strip("_") not in UPSTREAM}


def test_names_are_the_fields_terms():
    for path in CODE:
        own = path.relative_to(ROOT / "stages").as_posix()
        banned = (names_in(ast.parse(path.read_text(encoding="utf-8"))) | {path.stem}) & BANNED
        assert not {name for name in banned if (own, name) not in ALLOWED}, own


def test_allowed_names_are_still_there():
    for own, name in ALLOWED:
        assert name in names_in(ast.parse((ROOT / "stages" / own).read_text(encoding="utf-8"))), (own, name)


def test_spelling_is_american():
    for path in [*CODE, *PROFILES]:
        assert not british_in(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_comments_of_profiles_stand_above_their_key(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.search(r"\S\s+# ", line) and not line.lstrip().startswith("#")]


@pytest.mark.parametrize(
    ("text", "british"),
    [("grey", {"grey"}), ("Colours", {"Colours"}), ("off_centre", {"off_centre"}), ("unlabelled", {"unlabelled"}),
     ("normalised", {"normalised"}), ("gray, color, noise, promise, raised, otherwise, precision, centers", set()),
     ("baseColour of Grey", set())],
)  # fmt: skip
def test_british_words_are_told_from_others(text, british):
    assert british_in(text) == british


def test_names_that_code_binds_are_seen():
    code = "class A:\n    b: int\n    def c(self, d):\n        self.e = [f for f in d]\n        with d as (g, h): pass"
    assert names_in(ast.parse(code)) == {"A", "b", "c", "self", "d", "e", "f", "g", "h"}
