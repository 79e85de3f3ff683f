"""The script that pages of plots load."""

import sys

import pytest

from stages.report import plots_script


@pytest.mark.slow
def test_bundle_has_both_libraries_and_lies_where_the_page_looks_for_it(tmp_path, monkeypatch):
    page = (plots_script.SCRIPT.parents[1] / "plots.html").read_text(encoding="utf-8")
    assert f'src="../{plots_script.SCRIPT.as_posix()}"' in page
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["plots_script"])
    plots_script.main()
    script = (tmp_path / plots_script.SCRIPT).read_text(encoding="utf-8")
    assert len(script) > 500_000 and "vega" in script and "vega-lite" in script
