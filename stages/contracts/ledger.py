"""The conservation law: rows in = rows kept + rows rejected by reason, for every table of a stage."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.files import read_json, write_json
from stages.core.names import plain

# The closed vocabulary of reasons. Adding one means adding a line here.
REASONS = {
    "missing_image": "the annotation names an image file that does not exist",
    "broken_link": "the image is a link that leads nowhere",
    "corrupt_image": "the image does not decode",
    "too_small": "the image is smaller than ingest's min_side",
    "too_large": "the image has more pixels than ingest's max_pixels",
    "ambiguous_name": "the name fits several image files, or another file has it with another suffix",
    "unread_format": "a picture of a kind that is not read (raw, SVG, ...); save it as JPEG or PNG",
    "no_annotation": "an image file that no annotation names",
    "duplicate_image": "the same bytes as another image of this source, kept once",
    "near_duplicate": "nearly the same picture as one in a split that is held out more: it would leak",
    "duplicate_row": "the same item appears a second time",
    "image_rejected": "the row's image was rejected",
    "malformed_row": "the line or record cannot be read as its format says",
    "malformed_box": "no box: expected four finite numbers and a known class",
    "empty_box": "nothing is left of the box inside the image",
    "duplicate_box": "the image has the same box of the same class already, kept once",
    "bad_name": "the file name does not follow the naming convention",
    "not_a_garment": "the label table rejects this value",
    "gender_left_out": "the gender is neither Men nor Women and labels.gender_policy is drop_row",
    "ambiguous_layer": "fabric or pattern of upper and outer layer differ and the photo does not tell which is which",
    "no_detection": "no detector found anything above the confidence threshold",
    "mismatch": "no detection agrees with the label",
    "taken": "every agreeing detection is the box of another item of the same photo",
    "several": "several detections agree and crops.several is drop",
    "unusable_crop": "the crop is smaller than crops.min_side",
    "nothing_salient": "the salient network sees nothing that stands out, or next to nothing",
    "several_salient": "the salient network sees several things of similar size",
    "salient_everywhere": "what the salient network sees fills the photo",
    "unsure_mask": "the box of the salient network depends on the threshold of its mask",
}


@dataclass
class Reject:
    """One rejected row: ``key`` names file and line or id, ``detail`` the value found."""

    key: str
    reason: str
    detail: str = ""


@dataclass
class Repair:
    """One repair of a row: ``what`` names the kind of repair, ``detail`` the value found."""

    key: str
    what: str
    detail: str = ""


@dataclass
class Ledger:
    """What happened to the rows of one table."""

    rows_in: int = 0
    kept: int = 0
    rejects: list[Reject] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)

    @property
    def repaired(self) -> Counter:
        """How many repairs of each kind there are."""
        return Counter(repair.what for repair in self.repairs)

    def reject(self, key: str, reason: str, detail: object = "") -> None:
        """Record a row as rejected; the reason must be in ``REASONS``."""
        if reason not in REASONS:
            raise KeyError(f"reject reason {reason!r} is not in the closed vocabulary of stages/contracts/ledger.py")
        self.rejects.append(Reject(plain(str(key)), reason, plain(str(detail))))

    def repair(self, key: str, what: str, detail: object = "") -> None:
        """Record the repair of a row."""
        self.repairs.append(Repair(plain(str(key)), what, plain(str(detail))))

    def summary(self) -> dict[str, Any]:
        """Counts as written to account.json."""
        rejected = Counter(row.reason for row in self.rejects)
        return {
            "rows_in": self.rows_in,
            "rows_kept": self.kept,
            "rejected": dict(sorted(rejected.items())),
            "repaired": dict(sorted(self.repaired.items())),
        }


class Account:
    """The ledgers of one stage run, one for each table it passes on."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.ledgers: dict[str, Ledger] = {}
        self.notes: dict[str, Any] = {}

    def ledger(self, table: str) -> Ledger:
        """The ledger of ``table``, created on first use."""
        return self.ledgers.setdefault(table, Ledger())

    def carry(self, folder: Path, table: str) -> None:
        """Take over the ledger that an earlier stage wrote into ``folder`` for ``table``, if it has one."""
        from stages.contracts.tables import REJECTS, read_table

        path = folder / "account.json"
        own = read_json(path).get(table) if path.is_file() else None
        if own is None:
            return
        ledger = self.ledger(table)
        ledger.rows_in, ledger.kept = own["rows_in"], own["rows_kept"]
        for row in read_table(folder / "rejects.parquet", REJECTS).to_pylist():
            if row["table"] == table:
                ledger.reject(row["key"], row["reason"], row["detail"])

    def note(self, name: str, counts: Counter | dict[str, Any]) -> None:
        """Add counts that no ledger has, such as unknown values by name."""
        self.notes[name] = dict(sorted(counts.items()))

    def write(self, folder: Path) -> dict[str, Any]:
        """Write account.json, rejects.parquet and repairs.parquet into ``folder``; rows in the order of recording.

        Raises:
            AssertionError: the conservation law does not hold, which is a bug in the stage.
        """
        import pyarrow as pa

        from stages.contracts.tables import REJECTS, write_rows

        content: dict[str, Any] = {name: ledger.summary() for name, ledger in sorted(self.ledgers.items())}
        for name, row in content.items():
            out = row["rows_kept"] + sum(row["rejected"].values())
            assert row["rows_in"] == out, f"{self.source}, {name}: {row['rows_in']} rows in, {out} accounted for"
        if self.notes:
            content["notes"] = self.notes
        write_json(folder / "account.json", content)
        write_rows(folder / "rejects.parquet", REJECTS, list(self._rows("rejects")))
        repairs = pa.schema([(name, pa.string()) for name in ("source", "table", "key", "what", "detail")])
        write_rows(folder / "repairs.parquet", repairs, list(self._rows("repairs")))
        return content

    def _rows(self, kind: str) -> Iterable[dict[str, str]]:
        for table, ledger in sorted(self.ledgers.items()):
            for row in getattr(ledger, kind):
                yield {"source": self.source, "table": table, **vars(row)}

    def lines(self) -> list[str]:
        """The account as lines for the log."""
        result = []
        for name, ledger in sorted(self.ledgers.items()):
            row = ledger.summary()
            clauses = [f"{self.source}: {row['rows_in']} {name} in, {row['rows_kept']} kept"]
            clauses += [f"{count} {reason}" for reason, count in row["rejected"].items()]
            clauses += [f"repaired: {count} {what}" for what, count in row["repaired"].items()]
            result.append(", ".join(clauses))
        return result
