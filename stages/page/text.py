"""A trace in words: pairs of a name and a text, for the report, and the same as one screen."""

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
    """A name and its text, which is continued below itself where it is long."""
    room, lines = WIDTH - NAME, [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return [f"{'' if number else name:<{NAME}}{piece}".rstrip() for number, piece in enumerate(lines)]


def pairs(result: Row) -> list[Pair]:
    """A trace as pairs of name and text."""
    entries: list[Pair] = []
    if ranking := result.get("ranking"):
        entries += _ranking(result, ranking)
    if crop := result.get("crop"):
        entries.append(("crop", values(crop)))
    if result["kind"] == "reject":
        entries += _reject(result)
    entries += [("used by", use) for use in _some(result.get("uses", []))]
    if len(items := result.get("items", [])) > 1:
        entries.append(("items", ", ".join(_some(items))))
    if facts := result.get("facts"):
        entries += facts_entries(facts)
    else:
        for kind in ("rejects", "repairs"):
            entries += _ledger(kind, result.get(kind, []))
        entries += _upstream(result.get("upstream", []))
    for row in result.get("made", []):
        made = f"{row['stage']}  {(row['md5'] or '')[:12]}" if row["stage"] else "not in dvc.lock"
        entries.append(("made by", f"{made}  {row['path']}"))
    return entries


def facts_entries(facts: Row) -> list[Pair]:
    """What is known of an item or image (``lookup.item_facts``, ``lookup.picture_facts``)."""
    entries = [("item", f"{facts['item_id']} of {facts['source']}, image {facts['image_id']}")]
    if image := facts.get("image"):
        text = f"{image['width']} x {image['height']}, upstream split {image['split']}, group {image['group_id']}"
        entries.append(("image", f"{text}, sha256 {image['sha256'][:12]}"))
    if facts.get("box"):
        entries.append(("box", values({key: facts["box"][key] for key in ("class_name", "x1", "y1", "x2", "y2")})))
    if facts.get("upstream"):
        entries.append(("upstream", values(facts["upstream"])))
    if "labels" in facts:
        entries.append(("labels", values(facts["labels"]) if facts["labels"] else "none: a label policy rejected it"))
    for row in facts.get("corrections", []):
        entries.append(
            ("relabel", f"line {row['line']}: {row['column']} {row['value'] or 'unknown'} ({row['reason']})")
        )
    if gone := facts.get("dataset_labels"):
        entries.append(("in data set", f"{', '.join(gone)} unknown: no training row has the class"))
    if match := facts.get("matching"):
        entries += _matching(match)
    if "split" in facts:
        entries.append(("split", _split(facts)))
    if facts.get("near"):
        entries.append(("looks like", ", ".join(_some(facts["near"]))))
    for kind in ("repairs", "rejects"):
        entries += _ledger(kind, facts.get(kind, []))
    if "file" in facts:
        entries.append(("file", facts["file"] or "not found below the raw tree"))
    return entries + _upstream(facts.get("upstream_lines", []))


def values(row: Row) -> str:
    """``name value`` of everything that is known in a row."""
    return ", ".join(f"{key} {_value(value)}" for key, value in row.items() if value is not None) or "nothing known"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


def box_text(row: Row) -> str:
    """A detection: class, confidence, corners."""
    corners = ", ".join(f"{row[side]:.0f}" for side in ("x1", "y1", "x2", "y2"))
    sure = "" if row.get("confidence") is None else f" {row['confidence']:.2f}"
    return f"{row.get('superclass') or row.get('detected_class')}{sure} [{corners}] by {row.get('detector')}"


def _some(rows: list[str], most: int = FEW) -> list[str]:
    return rows if len(rows) <= most else [*rows[:most], f"and {len(rows) - most} more"]


def _ranking(result: Row, ranking: Row) -> list[Pair]:
    entries = [
        ("asks", f"{result['benchmark']} by {result['encoder']}, {ranking['metric']}, {ranking['gallery']} rows"),
        ("wants", f"item {ranking['item']}, category {ranking['category']}, {ranking['matches']} right rows"),
    ]
    if not ranking["detected"]:
        return [*entries, ("finds", "nothing: the item has no crop, which counts as a miss")]
    for place, entry in enumerate(ranking["results"], start=1):
        sign = "right" if entry["correct"] else "wrong"
        entries.append((f"  {place}", f"{entry['score']:.3f}  {sign}  {entry['row_id']}"))
    if match := ranking["match"]:
        entries.append(("right one", f"rank {match['rank']}, {match['score']:.3f}, {match['row_id']}"))
    return entries


def _matching(match: Row) -> list[Pair]:
    entries = [
        ("matching", f"{match['outcome']}: {match['candidates']} detections, {match['agreeing']} agree with the label")
    ]
    if match["taken"] and match["taken"]["x1"] is not None:
        entries.append(("  box", box_text(match["taken"])))
    rivals = [f"{box_text(row)}, {'agrees' if row['agrees'] else 'disagrees'}" for row in match["rivals"]]
    mates = [f"{row['item_id']}: {row['superclass']}, {row['outcome']}" for row in match["mates"]]
    return entries + [("  rival", text) for text in _some(rivals)] + [("  same photo", text) for text in _some(mates)]


def _split(facts: Row) -> str:
    if not (decision := facts.get("decision")):
        return f"{facts['split']}, tied by {values(facts['keys'])}"
    text = f"{facts['split']}, by {decision['rule']}: unit {decision['unit']} of {decision['members']} items"
    if decision["position"] is None:
        return text
    train, val, _ = decision["shares"]
    return f"{text}, at {decision['position']:.3f} (train below {train:.2f}, val below {train + val:.2f})"


def _ledger(kind: str, rows: list[Row]) -> list[Pair]:
    texts = [
        f"{row['stage']} {row['table']}: {row.get('reason') or row.get('what')} {row['key']} {row['detail']}"
        for row in rows
    ]
    return [(kind[:-1], text.strip()) for text in _some(texts)]


def _upstream(rows: list[Row]) -> list[Pair]:
    return [("line", text) for text in _some([f"{row['file']}:{row['line']}  {row['text']}" for row in rows])]


def _reject(result: Row) -> list[Pair]:
    entries = [("means", result["meaning"])]
    entries += [("rows", f"{count} of {key}") for key, count in result["counts"].items()] or [("rows", "none")]
    for row in result["rows"]:
        place = f"  {row['file']}:{row['line']}" if "file" in row else ""
        entries.append(("", f"{row['source']} {row['key']}: {row['detail']}{place}"))
    return entries
