"""A job survives its way through a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbir_bench.core.component import Setting
from cbir_bench.core.errors import DataError
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.worker import load_plugin


@pytest.mark.parametrize("self_ids", [None, Path("/x/self.npy")])
def test_the_worker_reads_what_the_parent_wrote(tmp_path, self_ids):
    """A lost option would measure something else under the right name."""
    index = Setting(use="hnswlib", options='{"ef_search":64,"m":16}', label="fast")
    trial = JobTrial(trial_id="t", index=index, reranker=Setting(use="none", options="{}"), k=9)
    job = Job(
        build_key="b",
        index=index,
        space="ip",
        n_threads=2,
        base_path=Path("/x/base.npy"),
        original_path=Path("/x/original.npy"),
        queries_path=Path("/x/ä queries.npy"),
        self_ids_path=self_ids,
        measure=MeasureSettings(n_passes=7, memory_limit_bytes=5),
        trials=(trial, trial),
        out_folder=Path("/x/out"),
        plugins=("mine.py",),
    )

    job.write(tmp_path / "job.json")

    assert Job.read(tmp_path / "job.json") == job


def test_a_plugin_that_is_not_there_is_named():
    """It is the user's own path."""
    with pytest.raises(DataError, match=r"no plug-in '/nowhere/mine\.py'"):
        load_plugin("/nowhere/mine.py")
