"""The whole report: exact text for a small run, and every odd run that there is."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from unit.report.synthetic import (
    ANNOY,
    EXACT,
    HNSWLIB,
    NULL,
    SWEEPS,
    Point,
    changed,
    failed,
    record_of,
    setting,
    sweep_points,
    write_run,
)

from cbir_bench.core.errors import RecordError, SettingError
from cbir_bench.core.record import MetricValue, Record
from cbir_bench.report import write_report

_POINTLESS = "The cheaper setting hnswlib(m=32, ef_search=200) finds 1 of the exact neighbours."
GOLDEN = Path(__file__).parent / "golden"


def small_run() -> list[Record]:
    """Two data sets, two models, a re-ranker, replicates, failures, warnings, a label to escape."""
    points = [
        Point(sweep=sweep, value=value, model=model, reranker=reranker)
        for model in ("resnet-gem", "vit | <cls>")
        for sweep, value in ((EXACT, 0), (HNSWLIB, 0), (HNSWLIB, 2), (ANNOY, 1), (NULL, 0))
        for reranker in ("none", "alpha-qe")
    ]
    points += [Point(dataset="clothing", protocol="full-base", sweep=s) for s in (EXACT, HNSWLIB)]
    records = [record_of(point) for point in points]
    records += [record_of(Point(sweep=SWEEPS[-1], replicate=i), seed=i) for i in range(3)]
    records[2] = changed(records[2], warnings=("The load was 3.1 on 2 cores.",))
    records[4] = changed(records[4], warnings=("The load was 3.1 on 2 cores.", "p99 | of noise"))
    slow = "It took longer than {} s. Raise timeout_seconds."
    return [
        *records,
        failed(Point(sweep=ANNOY, value=0), "timeout", slow.format(60)),
        failed(Point(sweep=ANNOY, value=2), "timeout", slow.format(61)),
        failed(Point(sweep=HNSWLIB, value=1), "refused", "ef_search = 20 is below k = 100."),
        failed(Point(sweep=SWEEPS[5]), "crashed", "Signal 11 <segmentation | fault>."),
        failed(Point(sweep=SWEEPS[3], value=2), "skipped", _POINTLESS),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    return write_run(folder, small_run(), missing=3)


@pytest.fixture(scope="module")
def files(small: Path) -> list[Path]:
    return write_report(small, small / "report")


def report_of(run: Path) -> tuple[str, list[Path]]:
    files = write_report(run, run / "report")
    return files[0].read_text(encoding="utf-8"), files


@pytest.mark.parametrize(
    "name", ["report.md", "operating_points.md", "failures.csv", "skipped.csv"]
)
def test_the_text_of_a_small_run(files: list[Path], name: str) -> None:
    """Read the golden files as a user would; set CBIR_BENCH_UPDATE_GOLDEN=1 to write them anew."""
    actual = (files[0].parent / name).read_text(encoding="utf-8")
    if os.environ.get("CBIR_BENCH_UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(actual, encoding="utf-8")

    assert actual == (GOLDEN / name).read_text(encoding="utf-8")


def test_figures_are_the_same_bytes_every_time(
    small: Path, files: list[Path], tmp_path: Path
) -> None:
    """A changed figure then means changed records, in any version control."""
    again = write_report(small, tmp_path)

    images = [(a, b) for a, b in zip(files, again, strict=True) if a.suffix in {".svg", ".png"}]

    assert len(images) == 2 * 3 * 2
    for a, b in images:
        assert a.read_bytes() == b.read_bytes(), a.name


def test_a_users_matplotlib_settings_change_nothing(
    small: Path, files: list[Path], tmp_path: Path
) -> None:
    """Somebody's dark theme must not end up in a shared report, nor ours in their notebook."""
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "none"}):
        themed = write_report(small, tmp_path)
        size_after = mpl.rcParams["font.size"]

    for a, b in zip(files, themed, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name
    assert size_after == 20


def test_every_file_is_returned_and_every_link_leads_to_one(files: list[Path]) -> None:
    """The main page comes first; nothing it points to is missing."""
    links = re.findall(r"\]\(([^)]+)\)", files[0].read_text(encoding="utf-8"))

    assert files[0].name == "report.md"
    assert {file.suffix for file in files} == {".md", ".csv", ".svg", ".png"}
    assert len(files) == len(set(files))
    assert all(file.is_file() and file.stat().st_size for file in files)
    assert len(links) == 6
    assert all((files[0].parent / link).is_file() for link in links)


def test_csv_files_hold_full_precision(files: list[Path]) -> None:
    """Whoever computes further does not want our rounding."""
    folder = files[0].parent
    records = {record.trial.id: record for record in small_run()}

    points = pd.read_csv(folder / "operating_points.csv").set_index("trial_id")
    models = pd.read_csv(folder / "models.csv")

    measured = {i: record for i, record in records.items() if record.status == "ok"}
    assert set(points.index) == set(measured)
    for trial_id, record in measured.items():
        assert points.loc[trial_id, "map_at_r"] == record.metrics["map_at_r"].mean
        assert points.loc[trial_id, "qps"] == record.latency.qps
        for name in ("p90_us", "p95_us", "p999_us", "mean_us", "raw_p99_us", "cpu_p50_us"):
            assert points.loc[trial_id, name] == getattr(record.latency, name)
        for name, (low, high) in record.latency.intervals.items():
            assert points.loc[trial_id, f"{name}.low"] == low
            assert points.loc[trial_id, f"{name}.high"] == high or high is None
    assert models["model"].tolist() == ["resnet-gem", "vit | <cls>", "resnet-gem"]


def test_another_metric_can_be_the_main_one(small: Path, tmp_path: Path) -> None:
    """It leads the verdict, the tables and the plots."""
    files = write_report(small, tmp_path, metric="precision@10")

    text = files[0].read_text(encoding="utf-8")

    assert "Quality is `precision@10`" in text
    assert re.search(r"\*\*Best quality\*\*: .*, precision@10 0\.", text)
    with pytest.raises(SettingError, match="No metric of this run is called 'ndcg'"):
        write_report(small, tmp_path, metric="ndcg")


def test_an_empty_run_says_how_to_go_on(tmp_path: Path) -> None:
    """A report may be asked for before the first trial is done."""
    text, files = report_of(write_run(tmp_path / "empty", [], missing=5))

    assert "5 trials: 0 measured, 0 failed or refused, 5 not run yet. Run the suite again" in text
    assert pd.read_csv(files[2]).empty


def test_what_was_left_out_is_counted_and_told_apart_from_failures(tmp_path: Path) -> None:
    """A suite that stops early on purpose is not broken."""
    records = [
        record_of(Point()),
        failed(Point(value=1), "skipped", "A cheaper setting found all."),
        failed(Point(value=2), "timeout", "Too slow."),
    ]

    text, files = report_of(write_run(tmp_path / "left-out", records, missing=1))

    tables = {file.name: pd.read_csv(file) for file in files if file.suffix == ".csv"}
    counts = "4 trials: 1 measured, 1 left out, 1 failed or refused, 1 not run yet."
    assert counts in text
    assert tables["skipped.csv"]["reason"].tolist() == ["A cheaper setting found all."]
    assert tables["failures.csv"]["reason"].tolist() == ["Too slow."]
    assert text.index("## What failed and why") < text.index("## What was left out and why")


def test_load_batches_and_builds_follow_the_operating_points(files: list[Path]) -> None:
    """First which point, then how it does with several clients, then what it cost."""
    text = files[0].read_text(encoding="utf-8")
    names = {file.name for file in files}

    places = [
        text.index(part)
        for part in (
            "### Operating points",
            "### Several clients at once",
            "figures/products-query-set-load.png",
            "### Batches",
            "### Builds that differ from time to time",
            "### Builds\n",
        )
    ]

    assert places == sorted(places)
    assert {"load.csv", "batches.csv", "builds.csv"} < names


def test_a_run_without_clients_and_batches_has_no_files_of_them(tmp_path: Path) -> None:
    """An empty file makes one look for what went wrong."""
    record = changed(record_of(Point()), loads=(), batches=())

    text, files = report_of(write_run(tmp_path / "plain", [record]))

    assert not {"load.csv", "batches.csv"} & {file.name for file in files}
    assert "### Several clients at once" not in text
    assert "### Batches" not in text


def test_a_run_of_failures_names_them_all(tmp_path: Path) -> None:
    """There is nothing to plot, and everything to explain."""
    records = [failed(Point(value=v), "out_of_memory", f"It needed {v} MiB.") for v in range(3)]

    text, files = report_of(write_run(tmp_path / "failures", records))

    assert "3 trials: 0 measured, 3 failed or refused." in text
    assert text.count("It needed") == 1
    assert "needed more memory than allowed" in text
    assert "Verdict" not in text
    assert len(pd.read_csv(next(f for f in files if f.name == "failures.csv"))) == 3


def test_many_reasons_are_cut_with_a_count(tmp_path: Path) -> None:
    """A page of a thousand reasons is read by nobody; the CSV file has them all."""
    words = [chr(ord("a") + i) for i in range(20)]
    records = [failed(Point(k=i + 1), "failed", f"Reason {w}.") for i, w in enumerate(words)]

    text, _ = report_of(write_run(tmp_path / "many", records))

    assert text.count("Reason ") == 12
    assert "8 more reasons are in failures.csv." in text


def test_one_trial_is_a_report(tmp_path: Path) -> None:
    """One point has no range, no frontier and no rival."""
    record = changed(record_of(Point(sweep=EXACT)), loads=())

    text, files = report_of(write_run(tmp_path / "one", [record]))

    assert "the best itself" in text
    assert "No figures" not in text
    assert not any(file.suffix == ".svg" for file in files)


def test_the_harness_alone_is_a_report_without_figures(tmp_path: Path) -> None:
    """The null index competes for nothing."""
    text, files = report_of(write_run(tmp_path / "null", [record_of(Point(sweep=NULL))]))

    assert "Nothing was measured that could be compared." in text
    assert "so much of every latency is ours" in text
    assert not any(file.suffix == ".svg" for file in files)


def test_the_figure_of_models_stands_below_their_table(tmp_path: Path) -> None:
    """It answers which model; what comes below answers which index."""
    points = [Point(sweep=s, model=m) for m in ("a", "b", "c") for s in (EXACT, HNSWLIB)]

    text, _ = report_of(write_run(tmp_path / "models", [record_of(point) for point in points]))

    places = [
        text.index(part)
        for part in (
            "### Models under exact search",
            "figures/products-query-set-models.png",
            "### Operating points",
            "figures/products-query-set-speed.png",
        )
    ]
    assert places == sorted(places)


def test_ties_are_all_shown(tmp_path: Path) -> None:
    """Equal points share the frontier; a plot with one value has a range all the same."""
    value = MetricValue(mean=0.5, low=0.5, high=0.5, n_queries=10)
    records = []
    for sweep in SWEEPS:
        record = record_of(Point(sweep=sweep))
        metrics = dict.fromkeys(record.trial.metrics, value)
        latency = record_of(Point()).latency
        records.append(changed(record, metrics=metrics, latency=latency))

    text, _ = report_of(write_run(tmp_path / "ties", records))

    assert text.count("●") == len(SWEEPS) - 1 + 1  # all but the harness, and the explanation


def test_records_without_metrics_or_costs_are_listed(tmp_path: Path) -> None:
    """Parts may be missing: a suite of latencies only, a library that cannot be sized."""
    base = record_of(Point(sweep=EXACT))
    bare = changed(base, metrics={}, latency=None, build=None, batch_qps=None)
    no_quality = [changed(record_of(Point(value=v)), metrics={}) for v in (0, 1)]

    for name, records in {
        "bare": [bare],
        "quality": no_quality,
        "mixed": [bare, *no_quality],
    }.items():
        text, _ = report_of(write_run(tmp_path / name, records))
        assert "Nothing was measured that could be compared." in text
        assert "Operating points" in text

    text, _ = report_of(write_run(tmp_path / "some", [bare, record_of(Point(value=2))]))
    assert "**Best quality**: resnet-gem + hnswlib" in text


def test_long_and_hostile_labels_stay_in_their_place(tmp_path: Path) -> None:
    """Neither a cell nor a figure may be blown up, and nothing may run in a browser."""
    evil = "<script>alert('x')</script> | " + "very long " * 20
    record = record_of(Point(sweep=EXACT))
    trial = replace(
        record.trial, dataset=setting("csv", evil), model=setting("timm", evil + "$x^2$")
    )
    run = write_run(tmp_path / "evil", [changed(record, trial=trial)])

    text, files = report_of(run)

    assert "\\<script\\>" in text
    assert not re.search(r"(?<!\\)<script", text)
    assert all(len(file.name) < 100 for file in files)


def test_more_than_a_page_of_points_shows_the_optimal_ones(tmp_path: Path) -> None:
    """All of them stand on a page of their own."""
    points = sweep_points(models=("resnet-gem", "vit-cls"), protocols=("query-set",))

    text, files = report_of(write_run(tmp_path / "long", [record_of(point) for point in points]))

    n_rows = sum(line.startswith("| ●") for line in text.splitlines())
    assert f"These are the {n_rows} Pareto-optimal points; all 108 are in" in text
    assert files[1].read_text(encoding="utf-8").count("\n| ") == len(points) + 2 * 2


def test_a_folder_that_cannot_be_written_is_named(small: Path, tmp_path: Path) -> None:
    """A sentence that says what to give instead."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(RecordError, match="Give another folder with --out"):
        write_report(small, tmp_path / "taken")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """Before any folder is made."""
    with pytest.raises(RecordError, match=r"is no folder of a run: plan\.json"):
        write_report(tmp_path, tmp_path / "report")

    assert not (tmp_path / "report").exists()
