"""The form of a search's answer as JSON, as docs/wardrobe.md promises it."""

from small_wardrobe import HEADS

ATTRIBUTES = {key: {"name": str, "confidence": float, "sure": bool} for key in HEADS}
NAMED = {"path": str, "path_base64": type(None)}
# A list stands for any number of its entry.
FORM = {
    "schema": int,
    "photo": {**NAMED, "sha256": str, "width": int, "height": int},
    "wardrobe": {
        "photos": int,
        "garments": int,
        "counts": dict.fromkeys(
            ("added", "moved", "changed", "removed", "unchanged", "duplicate", "unreadable", "left_out"), int
        ),
        "broken": [{**NAMED, "reason": str}],
        "left_out": {},
        "missing": [NAMED],
        "busy": bool,
    },
    "garments": [
        {
            "superclass": str, "confidence": float, "box": [int], "attributes": ATTRIBUTES,
            "approximate": type(None),
            "matches": [
                {
                    "rank": int, "id": str, "similarity": float, "why": type(None), "superclass": str,
                    "confidence": float, "box": [int], "attributes": ATTRIBUTES, "files": [NAMED],
                }
            ],
        }
    ],
}  # fmt: skip


def form(value, like):
    """The value's form, as deep as ``like``."""
    if isinstance(like, dict):
        return {key: form(inner, like.get(key)) for key, inner in value.items()}
    if isinstance(like, list):
        forms = [form(inner, like[0]) for inner in value]
        assert all(one == forms[0] for one in forms)
        return forms[:1] or like
    return type(value)
