"""Per-query arrays as Parquet: one row per query, zstd over split byte streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SAMPLED: Final = "_ns"
"""How the names of arrays end that hold samples of some queries only, one row per sample."""
LATENCY_ROWS: Final = "latency_queries"


def to_parquet(arrays: Mapping[str, NDArray[np.generic]], n_queries: int) -> bytes:
    """Return the Parquet file of a record's arrays.

    A one-dimensional array is a column of numbers, null where it is NaN; a two-dimensional one is a
    column of lists. What ends in "_ns" is a list of samples for the queries of "latency_queries", which
    is no column of its own, and null for all others.

    Args:
        arrays: as in ``Record.arrays``.
        n_queries: rows of the file.

    Raises:
        RecordError: if an array has another number of rows, or the latency sample is no ascending
            list of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: _column(name, array, n_queries)
        for name, array in arrays.items()
        if name != LATENCY_ROWS and not name.endswith(SAMPLED)
    }
    for name, array in arrays.items():
        if name.endswith(SAMPLED):
            columns[name] = _sampled_column(name, array, arrays.get(LATENCY_ROWS), n_queries)
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=_number_paths(table),
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_parquet(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Return the arrays that ``to_parquet`` wrote, with NaN for null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), use_threads=False)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name.endswith(SAMPLED):
            arrays[name], arrays[LATENCY_ROWS] = _samples(column)
        else:
            arrays[name] = _array(column)
    return arrays


def _column(name: str, array: NDArray[np.generic], n_queries: int) -> Any:
    import pyarrow as pa

    if array.ndim not in {1, 2} or len(array) != n_queries:
        raise RecordError(
            f"The array {name!r} has shape {array.shape}, but there are {n_queries} queries. "
            "Give a row for each."
        )
    if array.ndim == 1:
        return pa.array(array, from_pandas=True)
    starts = np.arange(n_queries + 1, dtype=np.int32) * np.int32(array.shape[1])
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(array.ravel()))


def _sampled_column(
    name: str, samples: NDArray[np.generic], rows: NDArray[np.generic] | None, n_queries: int
) -> Any:
    import pyarrow as pa

    if rows is None or samples.ndim != 2 or rows.shape != samples.shape[1:]:
        raise RecordError(
            f"The array {name!r} has shape {samples.shape}; {LATENCY_ROWS!r} must name the query "
            "of each of its columns."
        )
    bounds = np.concatenate([[-1], rows.astype(np.int64), [n_queries]])
    if (np.diff(bounds) <= 0).any():
        raise RecordError(
            f"{LATENCY_ROWS!r} must be ascending rows below {n_queries}, none twice. Sort the sample."
        )
    measured = np.zeros(n_queries, bool)
    measured[rows] = True
    starts = np.concatenate([[0], np.cumsum(measured * samples.shape[0])]).astype(np.int32)
    values = pa.array(np.ascontiguousarray(samples.T).ravel())
    return pa.ListArray.from_arrays(pa.array(starts), values, mask=pa.array(~measured))


def _samples(column: Any) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    samples = column.flatten().to_numpy(zero_copy_only=False)
    n_passes = len(samples) // max(1, len(rows))
    return np.ascontiguousarray(samples.reshape(len(rows), n_passes).T), rows


def _array(column: Any) -> NDArray[np.generic]:
    import pyarrow as pa

    if not pa.types.is_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    values = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
    return values.reshape(len(column), len(values) // max(1, len(column)))


def _number_paths(table: Any) -> list[str]:
    """Return the Parquet paths of the columns whose bytes can be split: numbers of 4 or 8 bytes."""
    import pyarrow as pa

    paths = []
    for column in table.schema:
        is_list = pa.types.is_list(column.type)
        number = column.type.value_type if is_list else column.type
        if not pa.types.is_boolean(number) and number.bit_width in {32, 64}:
            paths.append(f"{column.name}.list.element" if is_list else column.name)
    return paths
