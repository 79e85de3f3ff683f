"""The table at the end of a repro."""

from stages.report.summary import as_text, table_rows

HEAD = {"rows": 4, "accuracy": 0.75, "baseline_majority": 0.5, "baseline_majority_given_detected": 0.625}
BESIDE = "0.500 majority, 0.625 given the detected class"


def test_every_head_with_rows_and_the_types_groups_stand_beside_their_baselines():
    content = {"heads": {"color": HEAD, "usage": {"rows": 0}}, "type_group": HEAD}
    assert table_rows({"classifier": content}) == [
        ("classifier/color", "accuracy", "0.750", BESIDE),
        ("classifier/type_group", "accuracy", "0.750", BESIDE),
    ]


def test_classifier_without_groups_has_only_heads():
    assert table_rows({"classifier": {"heads": {"color": HEAD}}}) == [("classifier/color", "accuracy", "0.750", BESIDE)]


def test_table_as_markdown():
    rows = [("a", "mAP", "0.5", "")]
    expected = "| what | metric | value | beside it |\n| --- | --- | --- | --- |\n| a | mAP | 0.5 |  |"
    assert as_text(rows, markdown=True) == expected
