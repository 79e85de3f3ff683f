"""docs/classifier.md: the heads next to the published ones, and the classes that are confused."""

import json

import pytest

from stages.core.errors import StageError
from stages.report import classifier_page

SCORES = {
    "rows": 40, "accuracy": 0.8, "baseline_majority": 0.5, "baseline_majority_given_detected": 0.625,
    "precision_macro": 0.75, "recall_macro": 0.7, "f1_macro": 0.72,
}  # fmt: skip
BY_CLASS = """head,class,rows,predicted,tp,fp,fn,tn,precision,recall,f1
gender,Men,20,19,15,4,5,16,0.789474,0.75,0.769231
gender,Women,20,21,16,5,4,15,0.761905,0.8,0.780488
fabric,denim,0,0,0,0,0,40,,,
"""
CONFUSED = """head,actual,predicted,rows,share
gender,Men,Women,5,0.25
gender,Women,Men,4,0.2
"""
PUBLISHED = """system,encoder,benchmark,metric,value,value_high,source,note
theirs,,classifier_gender,accuracy,0.96,,The paper,on validation
theirs,,classifier_gender,recall,0.95,,The paper,on validation
theirs,,classifier_gender_Women,precision,0.9734,,The paper,TP 7834
theirs,,inshop,hit_at_1,0.5,,Another paper,of no head
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """``page(heads)``: what is written of profile ``demo``, whose data is drawn."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "demo" / "report"

    def make(**heads):
        (folder / "classifier").mkdir(parents=True)
        (folder / "classifier.json").write_text(json.dumps({"heads": heads, "type_group": SCORES}))
        for name, text in (("by_class", BY_CLASS), ("confused", CONFUSED)):
            (folder / "classifier" / f"{name}.csv").write_text(text)
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "published.csv").write_text(PUBLISHED)
        (tmp_path / "profiles").mkdir()
        (tmp_path / "profiles" / "demo.yaml").write_text("demo_sources: [shoes]\n")
        classifier_page.write_page(tmp_path / "docs" / "classifier.md")
        return (tmp_path / "docs" / "classifier.md").read_text(encoding="utf-8")

    return make


def test_each_head_stands_beside_its_baselines_and_what_was_published_of_it(page):
    text = page(gender=SCORES, fabric={"rows": 0, "coverage": 0.0, "classes": 2})
    # head, rows; accuracy, majority, given the class; precision, recall, F1; published accuracy, precision, recall
    assert "| gender | 40 | 0.800 | 0.500 | 0.625 | 0.750 | 0.700 | 0.720 | *0.96* | - | *0.95* |" in text
    assert "| type_group | 40 | 0.800 | 0.500 | 0.625 | 0.750 | 0.700 | 0.720 | - | - | - |" in text
    assert "| fabric" not in text  # nobody knows it
    assert "Published: The paper (on validation; TP 7834)." in text and "Another paper" not in text


def test_women_against_men_with_the_four_counts(page):
    text = page(gender=SCORES)
    assert "|  | rows | TP | FN | TN | FP | precision | recall | F1 |" in text
    assert "| Women | 20 | 16 | 4 | 15 | 5 | 0.762 | 0.800 | 0.780 |" in text
    assert "| *Women* (published) | - | - | - | - | - | *0.9734* | - | - |" in text


def test_confused_pairs_and_that_the_data_is_drawn(page):
    text = page(gender=SCORES)
    assert "- gender: Men as Women (5, 25%); Women as Men (4, 20%)" in text
    assert "cannot be compared" in text and "## Profile demo (drawn data)" in text


def test_without_a_report_there_is_one_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="Run `dvc repro evaluate_classifier`"):
        classifier_page.write_page(tmp_path / "page.md")
