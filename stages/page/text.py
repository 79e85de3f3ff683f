"""A trace in words: pairs of what is told and what is said of it, for the report; the same as one screen of text."""

from typing import Any

Row = dict[str, Any]
Pair = tuple[str, str]
WIDTH, NAME = 118, 13  # columns of a line, and of the word at its start
FEW = 5  # rivals, lines and neighbors that are shown; the rest is counted


def as_text(result: Row) -> str:
    """The lines of a trace."""
    lines = [f"{result['kind']} {result['id']}", ""]
    for name, text in pairs(result):
        lines += _wrapped(name, text)
    return "\n".join(lines)


def _wrapped(name: str, text: str) -> list[str]:
    """A word and what is said of it, continued below itself where it is long."""
    room, lines = WIDTH - NAME, [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return [f"{'' if number else name:<{NAME}}{piece}".rstrip() for number, piece in enumerate(lines)]


def pairs(result: Row) -> list[Pair]:
    """What a trace tells."""
    told: list[Pair] = []
    if ranking := result.get("ranking"):
        told += _ranking(result, ranking)
    if crop := result.get("crop"):
        told.append(("crop", values(crop)))
    if result["kind"] == "reject":
        told += _reject(result)
    told += [("used by", use) for use in _some(result.get("uses", []))]
    if len(items := result.get("items", [])) > 1:
        told.append(("items", ", ".join(_some(items))))
    if facts := result.get("facts"):
        told += facts_told(facts)
    else:
        for kind in ("rejects", "repairs"):
            told += _ledger(kind, result.get(kind, []))
        told += _upstream(result.get("upstream", []))
    for row in result.get("made", []):
        made = f"{row['stage']}  {(row['md5'] or '')[:12]}" if row["stage"] else "not in dvc.lock"
        told.append(("made by", f"{made}  {row['path']}"))
    return told


def facts_told(facts: Row) -> list[Pair]:
    """What is known of an item or image (``lookup.item_facts``, ``lookup.picture_facts``)."""
    told = [("item", f"{facts['item_id']} of {facts['source']}, image {facts['image_id']}")]
    if image := facts.get("image"):
        said = f"{image['width']} x {image['height']}, upstream split {image['split']}, group {image['group_id']}"
        told.append(("image", f"{said}, sha256 {image['sha256'][:12]}"))
    if facts.get("box"):
        told.append(("box", values({key: facts["box"][key] for key in ("class_name", "x1", "y1", "x2", "y2")})))
    if facts.get("upstream"):
        told.append(("upstream", values(facts["upstream"])))
    if "labels" in facts:
        told.append(("labels", values(facts["labels"]) if facts["labels"] else "none: a label policy rejected it"))
    for row in facts.get("corrections", []):
        told.append(("relabel", f"line {row['line']}: {row['column']} {row['value'] or 'unknown'} ({row['reason']})"))
    if gone := facts.get("dataset_labels"):
        told.append(("in data set", f"{', '.join(gone)} unknown: no training row has the class"))
    if match := facts.get("matching"):
        told += _matching(match)
    if "split" in facts:
        told.append(("split", _split(facts)))
    if facts.get("near"):
        told.append(("looks like", ", ".join(_some(facts["near"]))))
    for kind in ("repairs", "rejects"):
        told += _ledger(kind, facts.get(kind, []))
    if "file" in facts:
        told.append(("file", facts["file"] or "not found below the raw tree"))
    return told + _upstream(facts.get("upstream_lines", []))


def values(row: Row) -> str:
    """``name value`` of everything that is known in a row."""
    return ", ".join(f"{key} {_said(value)}" for key, value in row.items() if value is not None) or "nothing known"


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


def box_told(row: Row) -> str:
    """A detection: class, confidence, corners."""
    corners = ", ".join(f"{row[side]:.0f}" for side in ("x1", "y1", "x2", "y2"))
    sure = "" if row.get("confidence") is None else f" {row['confidence']:.2f}"
    return f"{row.get('superclass') or row.get('detected_class')}{sure} [{corners}] by {row.get('detector')}"


def _some(rows: list[str], most: int = FEW) -> list[str]:
    return rows if len(rows) <= most else [*rows[:most], f"and {len(rows) - most} more"]


def _ranking(result: Row, ranking: Row) -> list[Pair]:
    told = [
        ("asks", f"{result['benchmark']} by {result['encoder']}, {ranking['metric']}, {ranking['gallery']} rows"),
        ("wants", f"item {ranking['item']}, category {ranking['category']}, {ranking['matches']} right rows"),
    ]
    if not ranking["detected"]:
        return [*told, ("finds", "nothing: the item has no crop, which counts as a miss")]
    for place, entry in enumerate(ranking["results"], start=1):
        sign = "right" if entry["correct"] else "wrong"
        told.append((f"  {place}", f"{entry['score']:.3f}  {sign}  {entry['row_id']}"))
    if match := ranking["match"]:
        told.append(("right one", f"rank {match['rank']}, {match['score']:.3f}, {match['row_id']}"))
    return told


def _matching(match: Row) -> list[Pair]:
    told = [
        ("matching", f"{match['outcome']}: {match['candidates']} detections, {match['agreeing']} agree with the label")
    ]
    if match["taken"] and match["taken"]["x1"] is not None:
        told.append(("  box", box_told(match["taken"])))
    rivals = [f"{box_told(row)}, {'agrees' if row['agrees'] else 'disagrees'}" for row in match["rivals"]]
    mates = [f"{row['item_id']}: {row['superclass']}, {row['outcome']}" for row in match["mates"]]
    return told + [("  rival", text) for text in _some(rivals)] + [("  same photo", text) for text in _some(mates)]


def _split(facts: Row) -> str:
    if not (decision := facts.get("decision")):
        return f"{facts['split']}, tied by {values(facts['keys'])}"
    said = f"{facts['split']}, by {decision['rule']}: unit {decision['unit']} of {decision['members']} items"
    if decision["position"] is None:
        return said
    train, val, _ = decision["shares"]
    return f"{said}, at {decision['position']:.3f} (train below {train:.2f}, val below {train + val:.2f})"


def _ledger(kind: str, rows: list[Row]) -> list[Pair]:
    texts = [
        f"{row['stage']} {row['table']}: {row.get('reason') or row.get('what')} {row['key']} {row['detail']}"
        for row in rows
    ]
    return [(kind[:-1], text.strip()) for text in _some(texts)]


def _upstream(rows: list[Row]) -> list[Pair]:
    return [("line", text) for text in _some([f"{row['file']}:{row['line']}  {row['text']}" for row in rows])]


def _reject(result: Row) -> list[Pair]:
    told = [("means", result["meaning"])]
    told += [("rows", f"{count} of {key}") for key, count in result["counts"].items()] or [("rows", "none")]
    for row in result["rows"]:
        place = f"  {row['file']}:{row['line']}" if "file" in row else ""
        told.append(("", f"{row['source']} {row['key']}: {row['detail']}{place}"))
    return told
