"""What the evaluator gives, cut to what the leaderboard reads."""

import json

from stages.report import leaderboard


def result(hit, mean, flip=None):
    """Of one encoder on one benchmark."""
    whole = {"hit_at_1": hit, "hit_at_1_low95": hit - 0.1, "hit_at_1_high95": hit + 0.1, "hit_at_5": hit + 0.05, "map": mean,
             "map_low95": mean - 0.1, "map_high95": mean + 0.1, "map_at_r": 0.2, "mrr": 0.9, "precision_at_1": hit,
             "n_scored": 10, "n_missed": 1, "n_without_match": 2}  # fmt: skip
    chance = {"hit_at_1": 0.01, "hit_at_5": 0.05, "map": 0.02, "map_at_r": 0.01}
    content = {"whole_gallery": whole, "chance": {"whole_gallery": chance}, "gallery": 100, "dimensions": 512}
    return content | ({"flip": {"on": {}, "off": {"whole_gallery": {"hit_at_1": flip, "map": 0.3}}}} if flip else {})


def write_results(root):
    """Detailed results of two encoders on one benchmark."""
    folder = root / "data/demo/report/retrieval"
    folder.mkdir(parents=True)
    known = {"parameters": 53, "image_size": 96, "kept_epoch": 0}
    (folder / "one.json").write_text(json.dumps({"wardrobe": result(0.5, 0.4, flip=0.45) | known}))
    (folder / "two.json").write_text(json.dumps({"wardrobe": result(0.7, 0.6)}))


def board_of(folder):
    return leaderboard.read_board(folder / "data/demo/report/retrieval")


def voted(content, top_1, majority):
    """The same result of a benchmark whose items are labels."""
    votes = {"n_scored": 10, "neighbors": 10, "top_1": top_1, "top_3": top_1 + 0.1, "top_5": top_1 + 0.2}
    chance = content["chance"] | {"category_prediction": {"top_1": majority, "top_3": 0.3, "top_5": 0.5}}
    return content | {"category_prediction": votes, "chance": chance}
