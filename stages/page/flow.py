"""The data flow of each source as a drawing: rows in and kept, and what was rejected by reason, from stage to stage."""

from collections import Counter
from typing import Any

from stages.page.lookup import Profile

Row = dict[str, Any]
NAMES = {"ingested": "ingest", "boxes": "boxes", "labels": "labels", "crops": "crops"}
SALIENT = "salient"  # the stage and its ledger, which the account of boxes carries
WIDTH, LINE, PAD, BOX = 344, 16, 8, 30  # pixels of the drawing: its width, a line of text, around it, a stage


def steps(profile: Profile, source: str) -> list[Row]:
    """The stages of a source that wrote a ledger: ``stage``, and ``ledgers``: table, rows in, kept and rejected."""
    result: list[Row] = []
    for folder, name in NAMES.items():
        account = profile.accounts.get(folder, {}).get(source)
        if not account:
            continue
        ledgers = [
            {"table": table, "in": own["rows_in"], "kept": own["rows_kept"], "rejected": own["rejected"]}
            for table, own in account.items()
            if table != "notes" and own["rows_in"]
        ]
        by_network = [entry | {"table": "photos"} for entry in ledgers if entry["table"] == SALIENT]
        if by_network:
            result.append({"stage": SALIENT, "ledgers": by_network})
        result.append({"stage": name, "ledgers": [entry for entry in ledgers if entry["table"] != SALIENT]})
    splits = Counter(row["split"] for row in profile.crops.values() if row["source"] == source)
    if splits:
        ledger: Row = {"table": "crops", "in": splits.total(), "kept": splits.total(), "rejected": {}}
        result.append({"stage": "dataset", "ledgers": [ledger], "splits": dict(sorted(splits.items()))})
    return result


def drawing(profile: Profile, source: str) -> Row:
    """Shapes of the drawing of a source: ``boxes``, ``arrows`` and ``texts`` with their places, and the same in words.

    A stage is a box. The arrow into it has the number of rows in, and the text next to the box what it rejected.
    """
    boxes, arrows, texts, words = [], [], [], []
    y = PAD
    boxes.append({"x": PAD, "y": y, "w": 30 + 8 * len(source) + 24, "h": BOX, "text": f"raw/{source}"})
    y += BOX
    for step in steps(profile, source):
        ledgers = step["ledgers"]
        coming = [f"{entry['in']} {entry['table']}" for entry in ledgers] or ["no rows"]
        height = LINE * len(coming) + 14
        arrows.append({"x": PAD + 24, "y1": y + 2, "y2": y + height - 2})
        texts += [{"x": PAD + 38, "y": y + LINE * (at + 1) + 2, "text": text} for at, text in enumerate(coming)]
        y += height
        gone = [
            f"− {count} {reason.replace('_', ' ')} ({entry['table']})"
            for entry in ledgers
            for reason, count in entry["rejected"].items()
        ]
        tall = max(BOX, LINE * len(gone) + 6)
        boxes.append({"x": PAD, "y": y, "w": 92, "h": tall, "text": step["stage"]})
        texts += [
            {"x": PAD + 104, "y": y + LINE * (at + 1), "text": text, "gone": True} for at, text in enumerate(gone)
        ]
        if not gone:
            texts.append({"x": PAD + 104, "y": y + 20, "text": _kept(step)})
        y += tall
        words.append(f"{step['stage']}: {', '.join(coming)}; {', '.join(gone) or _kept(step)}")
    uses = [f"used by {use}" for use in _uses(profile, source)] or ["used by nothing"]
    arrows.append({"x": PAD + 24, "y1": y + 2, "y2": y + 22})
    y += 24
    texts += [{"x": PAD, "y": y + LINE * (at + 1) - 2, "text": text} for at, text in enumerate(uses)]
    return {
        "source": source, "width": WIDTH, "height": y + LINE * len(uses) + PAD, "boxes": boxes, "arrows": arrows,
        "texts": texts, "words": ". ".join([*words, *uses]),
    }  # fmt: skip


def _kept(step: Row) -> str:
    if splits := step.get("splits"):
        return ", ".join(f"{count} {name}" for name, count in splits.items())
    return "all kept"


def _uses(profile: Profile, source: str) -> list[str]:
    """What the last arrow leads to: who learns from the source, or asks with it."""
    uses = ["the data set"] if profile.accounts.get("crops", {}).get(source) else []
    uses += [f"detector {source}"] if source in profile.folders("boxes") else []
    names = profile.folders("benchmarks")
    return uses + [f"benchmark {name}" for name in names if profile.benchmark(name).get("source") == source]
