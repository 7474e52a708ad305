"""Quantisers under exact search: what they cost in quality, and save in bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from unit.report.synthetic import DIM, EXACT, HNSWLIB, N_BASE, Point, changed, record_of, write_run

from cbir_bench.core.record import MetricValue, Record
from cbir_bench.records.frame import read_run
from cbir_bench.report import choice, write_report
from cbir_bench.report.quantization import (
    compared_quantizers,
    quantizer_panels,
    quantizer_points,
)

BYTES = {"none": 512, "float16": 256, "int8": 128, "int4": 64, "pq": 32, "binary": 16}


def record(quantizer: str, *, reranker: str = "none", second: int = 0, loss: float = 0.0) -> Record:
    """Return a record whose map_at_r is lower by ``loss`` for every second query, of 1,000."""
    made = record_of(Point(sweep=EXACT, quantizer=quantizer, reranker=reranker), arrays=True)
    scores = np.full(1000, 0.6)
    scores[::2] -= loss
    scores[:12] = np.nan
    value = MetricValue(
        mean=float(np.nanmean(scores)), low=0.5, high=0.7, n_queries=988, n_left_out=12
    )
    return changed(
        made,
        bytes_per_vector=BYTES[quantizer],
        codebook_bytes=1024 if quantizer == "int4" else None,
        prepare_bytes=second * N_BASE,
        metrics=made.metrics | {"map_at_r": value},
        arrays=made.arrays | {"map_at_r": scores},
    )


def records() -> list[Record]:
    losses = {"none": 0.0, "float16": 0.0, "int8": 0.01, "int4": 0.05, "pq": 0.1, "binary": 0.2}
    plain = [record(name, loss=loss) for name, loss in losses.items()]
    return [*plain, record("binary", reranker="refine", second=128, loss=0.02)]


def compared_of(run: Path) -> pd.DataFrame:
    read = read_run(run)
    metric = choice.main_metric(read.points, read.metrics, None)
    (section,) = choice.sections(read.points, read.metrics, metric)
    return compared_quantizers(section, run)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    others = [record_of(Point(sweep=HNSWLIB)), record_of(Point(sweep=EXACT, reranker="alpha-qe"))]
    return write_run(tmp_path_factory.mktemp("runs") / "quantizers", [*records(), *others])


@pytest.fixture(scope="module")
def rows(run: Path) -> pd.DataFrame:
    return compared_of(run)


def test_rows_are_exact_search_alone_or_with_a_second_look(rows: pd.DataFrame) -> None:
    """What an index or a query expansion adds would be taken for the quantiser's."""
    actual = list(zip(rows["quantizer"], rows["reranker"], strict=True))

    assert actual == [*((name, "none") for name in BYTES), ("binary", "refine")]


def test_bytes_count_the_second_store(rows: pd.DataFrame) -> None:
    """A code of 16 bytes is no saving if 128 lie beside it."""
    binary = rows[rows["quantizer"] == "binary"]

    assert binary["code_bytes"].tolist() == [16, 16]
    assert binary["bytes_per_image"].tolist() == [16, 144]
    assert binary["bits_per_dimension"].tolist() == [1, 8 * 144 / DIM]
    assert binary["compression"].tolist() == [32, 512 / 144]


def test_differences_are_paired_by_query(rows: pd.DataFrame) -> None:
    """Queries differ far more than quantisers do, so that two separate intervals say nothing."""
    row = rows[rows["quantizer"] == "int4"].iloc[0]

    losses = np.tile([-0.05, 0.0], 494)
    half = 1.96 * losses.std(ddof=1) / np.sqrt(988)
    assert row["difference"] == pytest.approx(-0.025)
    assert row["difference.low"] == pytest.approx(-0.025 - half, rel=1e-4)
    assert row["difference.high"] == pytest.approx(-0.025 + half, rel=1e-4)


def test_float32_does_not_differ_from_itself(rows: pd.DataFrame) -> None:
    """It is what the others are held against."""
    assert rows.loc[rows["quantizer"] == "none", "difference"].isna().all()


def test_without_float32_there_is_no_difference(tmp_path: Path) -> None:
    """Another reference would be another number under the same name."""
    rows = compared_of(write_run(tmp_path / "run", records()[1:]))

    assert len(rows) == 6
    assert rows["difference"].isna().all()


def test_two_quantisers_need_no_table_of_their_own(tmp_path: Path) -> None:
    """The operating points show them side by side."""
    run = write_run(tmp_path / "run", [record("none"), record("int8")])

    files = write_report(run, tmp_path / "report")

    assert compared_of(run).empty
    assert "Quantisers under" not in files[0].read_text(encoding="utf-8")
    assert not any("quantizers" in file.name for file in files)


def test_the_report_has_table_figure_and_csv(run: Path, tmp_path: Path) -> None:
    """What is in one of them is in all."""
    files = write_report(run, tmp_path)

    text = files[0].read_text(encoding="utf-8")
    shown = text[text.index("### Quantisers under exact search") : text.index("### Operating")]
    assert "figures/products-query-set-quantizers.png" in shown
    line = next(line for line in shown.splitlines() if "int4" in line)
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "int4", "none", "64", "64", "4", "8:1", "1.00 KiB", "0.575 [0.500, 0.700]",
        "-0.0250 [-0.0266, -0.0234]", "1.000",
    ]  # fmt: skip
    assert len(pd.read_csv(tmp_path / "quantizers.csv")) == 7
    assert (tmp_path / "figures" / "products-query-set-quantizers.svg") in files


def test_panels_show_bytes_with_the_second_store(run: Path) -> None:
    """The figure asks what is bought for a byte, whatever it is spent on."""
    read = read_run(run)
    (section,) = choice.sections(read.points, read.metrics, "map_at_r")

    panels = quantizer_panels(section, quantizer_points(section))

    assert [panel.y for panel in panels] == ["map_at_r", "knn_recall@10"]
    assert {panel.x for panel in panels} == {"bytes_per_image"}
    assert panels[0].level == pytest.approx(0.6)
