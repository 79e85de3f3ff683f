"""The tables of the page."""

import json

from stages.page import numbers

PUBLISHED = (
    'system,encoder,benchmark,metric,value,value_high,source,note\n"<b>Theirs</b>",,inshop,hit_at_1,.5,.6,A & B,\n'
)


def test_published_systems_stand_below_ours_and_the_best_of_ours_is_marked(tmp_path):
    for name, value in (("one", 0.4), ("two", 0.7), ("chance", 0.9)):
        path = tmp_path / "retrieval" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"inshop": {"hit@1": value}}))
    spread = {"retrieval/one": {"inshop.hit@1": {"min": 0.3, "max": 0.5}}}
    (tmp_path / "seeds.json").write_text(json.dumps({"seeds": [0, 1, 2], "metrics": spread}))
    (tmp_path / "published.csv").write_text(PUBLISHED)
    table = numbers.retrieval(tmp_path, numbers.Seeds(tmp_path), numbers.published(tmp_path / "published.csv"))
    lines = {line["name"]: line["cells"][0] for line in table["lines"]}
    assert list(lines) == ["one", "two", "chance", "<b>Theirs</b> (published)"]
    assert lines["one"] == {"value": "0.400", "seeds": "0.300–0.500", "best": False}
    assert lines["two"]["best"] and not lines["chance"]["best"]
    assert lines["<b>Theirs</b> (published)"]["value"] == "0.500–0.600"


def test_ablation_is_shown_where_it_was_run(tmp_path):
    assert numbers.ablation(tmp_path) is None
    (tmp_path / "ablation.csv").write_text("variant,mean\n")
    assert numbers.ablation(tmp_path) is None
    (tmp_path / "ablation.csv").write_text("variant,mean,type\nsimclr,.5,.25\n")
    table = numbers.ablation(tmp_path)
    assert table["columns"] == ["mean", "type"] and table["lines"][0]["name"] == "simclr"
    assert [cell["value"] for cell in table["lines"][0]["cells"]] == [".5", ".25"]


def test_salient_box_is_a_row_below_the_constant_box(tmp_path):
    for folder, content in (
        ("detector", {"map50": 0.75, "constant_box": 0.25}),
        ("salient", {"map50": 0.875, "mean_iou": 0.5}),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "photos.json").write_text(json.dumps(content))
    table = numbers.detectors(tmp_path, numbers.Seeds(tmp_path), [])
    first = {line["name"]: line["cells"][0]["value"] for line in table["lines"]}
    assert list(first.items()) == [
        ("photos", "0.750"), ("photos, a constant box", "0.250"),
        ("photos, salient box and classifier's group", "0.875"),
    ]  # fmt: skip
