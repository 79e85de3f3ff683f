"""The script of the pages of plots, Vega and Vega-Lite in one file, so that they open without a network connection.

Usage: python -m stages.run plots_script      (`make install` does it)

Writes: .dvc/tmp/vega.js, which .dvc/plots.html loads: the page of `dvc plots show` and `dvc plots diff`.
"""

from pathlib import Path

from stages.runner.stage import new_parser, one_message

SCRIPT = Path(".dvc/tmp/vega.js")


def main() -> None:
    """Write the bundle of vl-convert."""
    new_parser(__doc__).parse_args()
    from vl_convert import javascript_bundle

    with one_message():
        SCRIPT.parent.mkdir(parents=True, exist_ok=True)
        SCRIPT.write_text(javascript_bundle(), encoding="utf-8")
