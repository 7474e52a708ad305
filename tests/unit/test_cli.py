"""However a command ends, it ends with a sentence and a meaningful exit code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cbir_bench import report
from cbir_bench.cli import main


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (OSError(28, "No space left on device", "x.png"), 2, "x.png: No space left on device"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_no_stage_ends_in_a_traceback(error, code, words, tmp_path, monkeypatch):
    """Ctrl-C while the report is drawn is Ctrl-C, too."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(report, "write_report", fail)

    actual = CliRunner().invoke(main, ["report", str(tmp_path)])

    assert actual.exit_code == code
    assert words in actual.stderr
    assert "Traceback" not in actual.stderr
