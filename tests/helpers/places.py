"""Where the checkout that is tested lies, and its tables."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "tables"
