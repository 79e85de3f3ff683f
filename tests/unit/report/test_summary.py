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


def test_figures_with_and_without_flip_stand_side_by_side():
    head = HEAD | {"accuracy_with_flip": 0.875}
    assert table_rows({"classifier": {"heads": {"color": head}}})[0][3] == f"{BESIDE}, 0.875 with flip"
    figures = {"hit_at_1": 0.5, "map": 0.25}
    scores = {"whole_gallery": figures, "chance": {"whole_gallery": {"hit_at_1": 0.125}}}
    off = {"flip": {"off": {"whole_gallery": {"hit_at_1": 0.375, "map": 0.2}}}}
    assert table_rows({"retrieval/simclr": {"wardrobe": scores | off}}) == [
        ("retrieval/simclr/wardrobe", "hit@1", "0.500", "0.125 chance, 0.375 without flip"),
        ("retrieval/simclr/wardrobe", "mAP", "0.250", "0.200 without flip"),
    ]
    assert table_rows({"retrieval/simclr": {"wardrobe": scores}})[0][3] == "0.125 chance"


def test_features_of_simclr_stand_beside_those_it_started_from_and_random_ones():
    mean = {"simclr": 0.5, "simclr_last": 0.4, "imagenet": 0.375, "untrained": 0.25, "baseline_majority": 0.125}
    row = ("simclr", "k-NN, mean of labels, epoch 2 kept", "0.500")
    last, others = "0.400 after the last epoch", "0.250 untrained, 0.125 majority"
    assert table_rows({"simclr": {"mean": mean, "kept_epoch": 2}}) == [(*row, f"{last}, 0.375 imagenet, {others}")]
    from_scratch = {"mean": mean | {"imagenet": None}, "kept_epoch": 2}
    assert table_rows({"simclr": from_scratch}) == [(*row, f"{last}, {others}")]
    assert table_rows({"simclr": {"mean": {}}}) == []


def test_classifier_without_groups_has_only_heads():
    assert table_rows({"classifier": {"heads": {"color": HEAD}}}) == [("classifier/color", "accuracy", "0.750", BESIDE)]


def test_table_as_markdown():
    rows = [("a", "mAP", "0.5", "")]
    expected = "| what | metric | value | beside it |\n| --- | --- | --- | --- |\n| a | mAP | 0.5 |  |"
    assert as_text(rows, markdown=True) == expected
