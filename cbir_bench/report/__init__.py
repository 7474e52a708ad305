"""Tables and plots from records alone."""

from __future__ import annotations

from cbir_bench.report.write import write_report

__all__ = ["write_report"]
