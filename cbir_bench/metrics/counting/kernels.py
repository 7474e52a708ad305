"""Compiled loops that count, for every relevant item, the other items above it.

A query's relevant items cut the line of similarities at R thresholds. Cells of equal width cover the line
from the lowest to the highest; a table says for each cell how many thresholds lie clearly below it, or that a
threshold lies in it or within rounding error of it. One look into the table per item, and one count, replace
R comparisons. What a cell does not decide is compared with the thresholds; what float32 does not decide is
computed again in float64.

Every loop releases the interpreter lock and works on arrays that the caller owns. Sums that decide an order
are added in eight lanes in the order of the source, so that they do not depend on the width of the machine's
registers; ``metrics.similarity`` adds in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MOST_THRESHOLDS = 2**15 - 2
"""What a table of int16 can hold."""
_SURELY = 1e-6
"""Of the band: float64 sums further apart than this are in the same order however they are added."""
_TINY = 1e-30
"""A line shorter than this is one open cell: more cells per unit than float32 can say."""
_PLAIN: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
_SIMD: Any = _PLAIN | {"fastmath": {"nnan", "nsz"}}
_SUM: Any = _PLAIN | {"fastmath": {"nnan", "nsz", "reassoc", "contract"}}


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is first called, and keep the result for the next process if it can be."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither the installation nor a home can be written
            return njit(**options)(function)

    return compiled


class Queries(NamedTuple):
    """Some queries and what their relevant items are compared by.

    Attributes:
        vectors: ``(n, dim)`` float32.
        band: ``(n,)`` float32 values further apart than this are in the order of their similarities.
        starts: ``(n + 1,)``; query ``q`` has the thresholds ``starts[q]`` to ``starts[q + 1]``.
        items: relevant items, the worst of a query first.
        exact: their float64 similarities, ascending within a query.
        thresholds: the same in float32, less the query's own square.
        crowded: ``(n,)`` whether some of ``exact`` are so near to each other that all were added strictly.
        table: ``(n, n_cells)`` int8 or int16: how many thresholds are below a cell, or ``-1 - k`` where
            ``k`` are and more may be.
        low, scale: ``(n,)`` where the cells of a query begin, and how many there are per unit.
    """

    vectors: NDArray[np.float32]
    band: NDArray[np.float32]
    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    exact: NDArray[np.float64]
    thresholds: NDArray[np.float32]
    crowded: NDArray[np.bool_]
    table: NDArray[np.int8] | NDArray[np.int16]
    low: NDArray[np.float32]
    scale: NDArray[np.float32]


class Base(NamedTuple):
    """The searched side: the similarity of a query is ``gain * product - offset``.

    Attributes:
        vectors: ``(n_base, dim)`` float32.
        offset: ``(n_base,)`` float32.
        gain: float32.
        l2: whether the similarity is minus the squared distance, less the query's own square.
    """

    vectors: NDArray[np.float32]
    offset: NDArray[np.float32]
    gain: np.float32
    l2: bool


class Tally(NamedTuple):
    """What one thread has counted.

    Attributes:
        above: ``(n_thresholds + n,)``; ``above[starts[q] + q + k]`` items are above exactly ``k`` of the
            relevant items of query ``q``.
        codes, places: ``(width,)`` scratch: the cell of each item of a row; those left open.
        histogram: ``(4, most thresholds + 1)`` scratch, zero between rows.
        open_query, open_item, open_threshold: scratch for comparisons in float64.
    """

    above: NDArray[np.int32]
    codes: NDArray[np.int16]
    places: NDArray[np.int32]
    histogram: NDArray[np.int32]
    open_query: NDArray[np.int32]
    open_item: NDArray[np.int32]
    open_threshold: NDArray[np.int64]


@_compiled(**_SUM)
def _similarity64(x, y, l2):
    """In float64, added in whatever order is fastest."""
    total = 0.0
    if l2:
        for i in range(x.shape[0]):
            difference = np.float64(x[i]) - np.float64(y[i])
            total -= difference * difference
    else:
        for i in range(x.shape[0]):
            total += np.float64(x[i]) * np.float64(y[i])
    return total


@_compiled(**_PLAIN)
def _term(x, y, l2):
    if l2:
        difference = np.float64(x) - np.float64(y)
        return -(difference * difference)
    return np.float64(x) * np.float64(y)


@_compiled(**_PLAIN)
def strict_similarity(x, y, l2):
    """In float64, added in eight lanes: the value that decides ties."""
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, x.shape[0], 8):
        a += _term(x[i], y[i], l2)
        b += _term(x[i + 1], y[i + 1], l2)
        c += _term(x[i + 2], y[i + 2], l2)
        d += _term(x[i + 3], y[i + 3], l2)
        e += _term(x[i + 4], y[i + 4], l2)
        f += _term(x[i + 5], y[i + 5], l2)
        g += _term(x[i + 6], y[i + 6], l2)
        h += _term(x[i + 7], y[i + 7], l2)
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@_compiled(**_SIMD)
def _cell(value, low, scale, last):
    """Never falling with the value; 0 for everything below ``low``, minus infinity included."""
    cell = (value - low) * scale + np.float32(1)
    cell = cell if cell > np.float32(0) else np.float32(0)  # noqa: FURB136
    cell = cell if cell < last else last  # noqa: FURB136
    return np.int16(np.int32(cell))


@_compiled(**_PLAIN)
def prepare(queries, base, first, last):
    """Sort the relevant items of the queries from ``first`` to ``last``, and fill the queries' tables."""
    for q in range(first, last):
        start, stop = queries.starts[q], queries.starts[q + 1]
        if start == stop:
            continue
        query, exact = queries.vectors[q], queries.exact[start:stop]
        items = queries.items[start:stop]
        for k in range(items.shape[0]):
            exact[k] = _similarity64(query, base.vectors[items[k]], base.l2)
        _sort(items, exact)
        queries.crowded[q] = False
        for k in range(1, items.shape[0]):
            if exact[k] - exact[k - 1] <= _SURELY * queries.band[q]:
                queries.crowded[q] = True
        if queries.crowded[q]:
            items[:] = -np.sort(-items)  # a stable sort leaves ids descending among equals
            for k in range(items.shape[0]):
                exact[k] = strict_similarity(query, base.vectors[items[k]], base.l2)
            _sort(items, exact)
        # The product leaves out what is the same for all items of a query.
        own = _similarity64(query, query, False) if base.l2 else 0.0
        for k in range(items.shape[0]):
            queries.thresholds[start + k] = np.float32(exact[k] + own)
        _fill_table(queries, q, queries.thresholds[start:stop])


@_compiled(**_PLAIN)
def _sort(items, exact):
    order = np.argsort(exact, kind="mergesort")
    exact[:] = exact[order].copy()
    items[:] = items[order].copy()


@_compiled(**_PLAIN)
def _fill_table(queries, q, thresholds):
    """Each threshold leaves open all cells that its band touches."""
    table, band = queries.table[q], queries.band[q]
    n = thresholds.shape[0]
    low = thresholds[0] - band
    width = np.float64(thresholds[n - 1] + band) - np.float64(low)
    scale = np.float32((table.shape[0] - 3) / width) if width > _TINY else np.float32(0)
    queries.low[q], queries.scale[q] = low, scale
    last, cell = np.float32(table.shape[0] - 1), 0
    for k in range(n):
        begin = _cell(thresholds[k] - band, low, scale, last)
        if begin > cell:
            table[cell:begin] = k
            cell = begin
        end = _cell(thresholds[k] + band, low, scale, last) + 1
        if end > cell:
            table[cell:end] = -1 - k
            cell = end
    table[cell:] = n


@_compiled(**_PLAIN)
def leave_out(block, row, column, starts, items):
    """Put some items of each row of a block below every other.

    Args:
        block: ``(n, width)`` products of queries from ``row`` on and base items from ``column`` on.
        row, column: of the block's first entry.
        starts, items: base ids of every query, ascending, as compressed rows.
    """
    width = block.shape[1]
    for i in range(block.shape[0]):
        low, stop = starts[row + i], starts[row + i + 1]
        high = stop
        while low < high:
            middle = (low + high) // 2
            if items[middle] < column:
                low = middle + 1
            else:
                high = middle
        while low < stop and items[low] < column + width:
            block[i, items[low] - column] = -np.inf
            low += 1


@_compiled(**_PLAIN)
def count(block, row, column, queries, base, tally):
    """Add to the tally what stands above the thresholds in a block of products.

    Args:
        block: ``(n, width)`` float32 products; minus infinity is no candidate. The similarity falls
            with none of them, so ``gain`` is above 0.
        row, column: the query and the base item of the block's first entry.
        queries, base, tally: see there.
    """
    last = np.float32(queries.table.shape[1] - 1)
    width = block.shape[1]
    offset = base.offset[column : column + width]
    one, two = tally.histogram[0], tally.histogram[1]
    three, four = tally.histogram[2], tally.histogram[3]
    n_open = 0
    for i in range(block.shape[0]):
        q = row + i
        start, stop = queries.starts[q], queries.starts[q + 1]
        if start == stop:
            continue
        line = block[i]
        if not _any_above(line, base.gain, offset, queries.low[q]):
            continue
        _cells(line, base.gain, offset, queries.low[q], queries.scale[q], last, tally.codes)
        table = queries.table[q]
        n_left = _look_up(tally.codes, width, table, one, two, three, four, tally.places)
        above = tally.above[start + q : stop + q + 1]
        _collect(one, two, three, four, above)
        band, thresholds = queries.band[q], queries.thresholds
        for place in range(n_left):
            j = np.uint64(tally.places[place])
            value = base.gain * line[j] - offset[j]
            k = start - 1 - table[np.uint64(tally.codes[j])]
            while k < stop and thresholds[k] + band < value:
                k += 1
            if k == stop or thresholds[k] - band > value:
                above[k - start] += np.int32(1)
            else:
                tally.open_query[n_open] = q
                tally.open_item[n_open] = column + np.int64(j)
                tally.open_threshold[n_open] = k
                n_open += 1
                if n_open == tally.open_query.shape[0]:
                    _decide(n_open, queries, base, tally)
                    n_open = 0
    _decide(n_open, queries, base, tally)


@_compiled(**_SIMD)
def _any_above(line, gain, offset, low):
    n_above = np.int32(0)
    for j in range(line.shape[0]):
        n_above += np.int32(gain * line[j] - offset[j] >= low)
    return n_above > 0


@_compiled(**_SIMD)
def _cells(line, gain, offset, low, scale, last, codes):
    for j in range(line.shape[0]):
        codes[j] = _cell(gain * line[j] - offset[j], low, scale, last)


@_compiled(**_PLAIN)
def _look_up(codes, n, table, one, two, three, four, places):
    """Count what the table decides, in four histograms by turns, and return how many places are left.

    A histogram of its own for each of four neighbours: equal counts need not wait for each other.
    """
    n_left = 0
    for quarter in range(n // 4):
        i = np.uint64(4 * quarter)
        a = table[np.uint64(codes[i])]
        b = table[np.uint64(codes[i + np.uint64(1)])]
        c = table[np.uint64(codes[i + np.uint64(2)])]
        d = table[np.uint64(codes[i + np.uint64(3)])]
        if (a | b | c | d) >= 0:
            one[np.uint64(a)] += np.int32(1)
            two[np.uint64(b)] += np.int32(1)
            three[np.uint64(c)] += np.int32(1)
            four[np.uint64(d)] += np.int32(1)
        else:
            for j in range(4):
                n_left = _look_up_one(codes, i + np.uint64(j), table, one, places, n_left)
    for j in range(n // 4 * 4, n):
        n_left = _look_up_one(codes, np.uint64(j), table, one, places, n_left)
    return n_left


@_compiled(**_PLAIN)
def _look_up_one(codes, j, table, histogram, places, n_left):
    k = table[np.uint64(codes[j])]
    if k >= 0:
        histogram[np.uint64(k)] += np.int32(1)
        return n_left
    places[n_left] = j
    return n_left + 1


@_compiled(**_PLAIN)
def _collect(one, two, three, four, total):
    n = total.shape[0]
    for k in range(n):
        total[k] += one[k] + two[k] + three[k] + four[k]
    one[:n] = 0
    two[:n] = 0
    three[:n] = 0
    four[:n] = 0


@_compiled(**_PLAIN)
def _decide(n_open, queries, base, tally):
    """Place in float64 what float32 left open; equal similarities are in the order of the ids."""
    for m in range(n_open):
        q, j = tally.open_query[m], tally.open_item[m]
        query, item, strict = queries.vectors[q], base.vectors[j], queries.crowded[q]
        if strict:
            similarity = strict_similarity(query, item, base.l2)
        else:
            similarity = _similarity64(query, item, base.l2)
        low, high = tally.open_threshold[m], queries.starts[q + 1]
        while low < high:
            middle = (low + high) // 2
            difference = similarity - queries.exact[middle]
            if not strict and abs(difference) <= _SURELY * queries.band[q]:
                other = base.vectors[queries.items[middle]]
                difference = strict_similarity(query, item, base.l2)
                difference -= strict_similarity(query, other, base.l2)
            if difference > 0 or (difference == 0 and j < queries.items[middle]):
                low = middle + 1
            else:
                high = middle
        tally.above[low + q] += np.int32(1)


@_compiled(**_PLAIN)
def transpose(block, out):
    """Write the transposed block: squares of eight are what a compiler turns into registers."""
    n, width = block.shape
    n_whole, width_whole = n // 8 * 8, width // 8 * 8
    for j in range(0, width_whole, 8):
        for i in range(0, n_whole, 8):
            for jj in range(8):
                for ii in range(8):
                    out[j + jj, i + ii] = block[i + ii, j + jj]
    for j in range(width):
        for i in range(n_whole if j < width_whole else 0, n):
            out[j, i] = block[i, j]


@_compiled(**_PLAIN)
def finish(starts, above, ranks):
    """Write the ranks of each query's relevant items, the best first.

    Args:
        starts: ``(n + 1,)`` of the queries' relevant items.
        above: of a tally, summed over threads.
        ranks: as many as relevant items, int64, written.
    """
    for q in range(starts.shape[0] - 1):
        start, n = starts[q], starts[q + 1] - starts[q]
        n_above = 0
        for k in range(n):
            n_above += above[start + q + n - k]
            ranks[start + k] = n_above + k + 1
