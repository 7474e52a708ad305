"""Mistakes that people make in retrieval metrics, one a line of the package each."""

from __future__ import annotations

from planted.planting import Mistake

DEFINITIONS = "unit/metrics/test_definitions.py"
TRAPS = "unit/metrics/test_traps.py"
AVERAGES = "unit/metrics/test_averages.py"
BOOTSTRAP = "unit/metrics/test_bootstrap.py"
COMPARISON = "unit/metrics/test_comparison.py"
CURVES = "unit/metrics/test_curves.py"
COMPLETE = "unit/metrics/test_complete.py"
NEIGHBOURS = "unit/metrics/test_neighbours.py"
SIMILARITY = "unit/metrics/test_similarity.py"
TRUTH = "unit/core/test_ground_truth.py"
JUDGEMENTS = "unit/core/test_judgements.py"
PROTOCOLS = "unit/protocols/test_truth.py"

ap = "metrics/average_precision.py"
ndcg = "metrics/ndcg.py"
oxford = "metrics/oxford.py"
err = "metrics/expected_reciprocal_rank.py"
per_query = "metrics/per_query.py"
averages = "metrics/averages.py"
bootstrap = "metrics/bootstrap.py"
comparison = "metrics/comparison.py"
kernels = "metrics/counting/kernels.py"
tiles = "metrics/counting/tiles.py"
plain = "metrics/counting/plain.py"
device = "metrics/counting/on_device.py"
similarity = "metrics/similarity.py"
ground_truth = "core/ground_truth.py"
truth = "protocols/truth.py"

SMALL = "leave_one_out or query_set or ties or last_bit or junk or gains"
"""Few items: compiled loops run as plain Python here."""

METRICS = [
    # What is divided by what.
    Mistake(
        ap,
        "_precision_sum(positives, k), positives.n_relevant, p",
        "_precision_sum(positives, k), np.minimum(positives.n_relevant, k or 10**9), p",
        TRAPS,
    ),
    Mistake(
        ap,
        "_precision_sum(positives, k), positives.n_relevant, p",
        "_precision_sum(positives, k), np.diff(positives.starts), p",
        TRAPS,
    ),
    Mistake(
        ap,
        "np.minimum(positives.n_relevant, k), positives",
        "positives.n_relevant, positives",
        TRAPS,
    ),
    Mistake(
        ap,
        "divided(total, positives.n_relevant, positives)",
        "divided(total, np.diff(positives.starts), positives)",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/precision.py",
        "positives.ranks <= k), k, positives)",
        "positives.ranks <= k), np.minimum(k, positives.n_relevant), positives)",
        TRAPS,
    ),
    Mistake(
        "metrics/precision.py",
        "divided(hits, positives.n_relevant, positives)",
        "divided(hits, np.diff(positives.starts), positives)",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/recall.py",
        "np.minimum(found, 1.0), 1, positives",
        "found, positives.n_relevant, positives",
        TRAPS,
    ),
    Mistake(
        ndcg, "else np.minimum(positives.n_relevant, k)", "else positives.n_relevant", DEFINITIONS
    ),
    Mistake(
        oxford,
        "limit = np.where(found_all, np.minimum(last_rank(positives), k), k)",
        "limit = k",
        TRAPS,
    ),
    Mistake(oxford, "limit = np.where(found_all, ", "limit = np.where(True, ", DEFINITIONS),
    # Ranks and places.
    Mistake(
        ap,
        "inside: NDArray[np.bool_] = positives.ranks <= limit",
        "inside: NDArray[np.bool_] = positives.ranks < limit",
        DEFINITIONS,
    ),
    Mistake(ap, "* (positives.ranks <= k)", "* (positives.ranks < k)", DEFINITIONS),
    Mistake(
        ap,
        "place_of(positives) / positives.ranks",
        "place_of(positives) / (positives.ranks + 1)",
        DEFINITIONS,
    ),
    Mistake(ap, "place_of(positives) / positives.ranks", "1 / positives.ranks", DEFINITIONS),
    Mistake(ndcg, "1.0 / np.log2(ranks + 1.0)", "1.0 / np.log2(ranks + 2.0)", DEFINITIONS),
    Mistake(ndcg, "np.exp2(gains) - 1", "np.exp2(gains)", DEFINITIONS),
    Mistake(ndcg, "np.exp2(gains) - 1", "np.exp(gains) - 1", TRAPS),
    Mistake(
        ndcg,
        "sum_per_query(grades, best), positives)",
        "sum_per_query(positives, _discount(place_of(positives)) * gain(positives.gains)), positives)",
        TRAPS,
    ),
    Mistake(
        "metrics/reciprocal_rank.py",
        "first = place_of(positives) == 1",
        "first = place_of(positives) >= 1",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/reciprocal_rank.py",
        "first &= positives.ranks <= need",
        "first |= positives.ranks <= need",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/inverse_penalty.py",
        "np.maximum(last_rank(positives), 1)",
        "np.maximum(positives.ranks[np.minimum(positives.starts[:-1], len(positives.ranks) - 1)], 1)",
        DEFINITIONS,
    ),
    Mistake(
        oxford, "np.maximum(ranks - 1, 1), 1.0)", "np.maximum(ranks - 1, 1), 0.0)", DEFINITIONS
    ),
    Mistake(oxford, "areas = (before + after) / 2", "areas = after", TRAPS),
    Mistake(
        oxford,
        "(places - 1) / np.maximum(ranks - 1, 1)",
        "places / np.maximum(ranks - 1, 1)",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/interpolated.py",
        '"ap_11pt", positives, k, 11)',
        '"ap_11pt", positives, k, 10)',
        DEFINITIONS,
    ),
    Mistake(
        "metrics/interpolated.py",
        "np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]",
        "np.maximum.accumulate(best, axis=1)",
        DEFINITIONS,
    ),
    Mistake(
        "metrics/interpolated.py",
        "np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]",
        "best",
        DEFINITIONS,
    ),
    Mistake(err, "satisfied * _product_above(positives, 1 - satisfied)", "satisfied", DEFINITIONS),
    Mistake(
        err,
        "_product_above(positives, 1 - satisfied)",
        "_product_above(positives, satisfied)",
        DEFINITIONS,
    ),
    Mistake(
        err,
        "np.exp2(positives.grades.highest)",
        "np.exp2(positives.gains.max())",
        TRAPS,
        "satisfaction",
    ),
    Mistake(
        err,
        "return np.full(len(positives.ranks), 0.5)",
        "return np.full(len(positives.ranks), 1.0)",
        DEFINITIONS,
    ),
    # Who has nothing to find.
    Mistake(
        per_query,
        "denominator=np.where(defined, by, 0.0)",
        "denominator=np.where(defined, by, 1.0)",
        TRAPS,
    ),
    Mistake(
        "metrics/curves.py",
        "mean = per_query[defined].mean(axis=0)",
        "mean = np.nan_to_num(per_query).mean(axis=0)",
        CURVES,
    ),
    Mistake("metrics/curves.py", "first[:, None] <= cutoffs", "first[:, None] == cutoffs", CURVES),
    Mistake(
        "metrics/curves.py",
        "np.arange(levels) / (levels - 1)",
        "np.arange(levels) / levels",
        CURVES,
    ),
    # What a cut ranking cannot tell.
    Mistake(
        "metrics/requirements.py",
        "if positives.depth is None:\n        return\n    alternative",
        "if True:\n        return\n    alternative",
        "unit/metrics/test_aggregate.py",
    ),
    Mistake("metrics/requirements.py", "deepest <= positives.depth", "True", DEFINITIONS),
    Mistake(
        "metrics/requirements.py", "k > positives.depth", "k > positives.depth + 1", DEFINITIONS
    ),
]

STATISTICS = [
    Mistake(
        averages,
        "_Ratio(scores, np.ones(len(scores)))",
        "_Ratio(scores * len(scores), pooled.denominator * 0 + len(scores) + 1)",
        AVERAGES,
    ),
    Mistake(
        averages,
        'ratios[name, "micro"] = pooled',
        'ratios[name, "micro"] = _Ratio(scores, np.ones(len(scores)))',
        AVERAGES,
    ),
    Mistake(
        averages,
        "_Ratio(scores * self.weights, self.weights)",
        "_Ratio(scores, self.weights)",
        AVERAGES,
    ),
    Mistake(
        averages,
        "_sums(one.scores[self.defined], self.classes) / sizes, ones",
        "_sums(one.scores[self.defined], self.classes), ones",
        AVERAGES,
    ),
    Mistake(
        averages,
        "_sums(one.scores[self.defined], self.classes) / sizes, ones",
        "_sums(one.scores[self.defined], self.classes), sizes.astype(float)",
        AVERAGES,
    ),
    Mistake(averages, "_dense(classes[defined])", "_dense(classes)[defined]", AVERAGES),
    Mistake(averages, "n_left_out = len(self.defined) - n_queries", "n_left_out = 0", AVERAGES),
    Mistake(
        averages, "if clusters is not None:\n        ratios", "if False:\n        ratios", AVERAGES
    ),
    Mistake(
        averages,
        "zip(quotients, _estimates(ratios, None, seed), strict=True)",
        "zip(quotients, _estimates(ratios[::-1], None, seed), strict=True)",
        AVERAGES,
    ),
    Mistake(bootstrap, "_TAIL: Final = 0.025", "_TAIL: Final = 0.05", BOOTSTRAP),
    Mistake(
        bootstrap,
        "influence = without.mean(axis=1, keepdims=True) - without",
        "influence = without - without.mean(axis=1, keepdims=True)",
        BOOTSTRAP,
    ),
    Mistake(
        bootstrap,
        "place = normal.cdf(bias + moved / (1 - a * moved))",
        "place = normal.cdf(moved)",
        BOOTSTRAP,
    ),
    Mistake(
        bootstrap,
        "moved = bias + normal.inv_cdf(tail)",
        "moved = -bias + normal.inv_cdf(tail)",
        BOOTSTRAP,
    ),
    Mistake(bootstrap, "bias = normal.inv_cdf(share)", "bias = 0.0", BOOTSTRAP),
    Mistake(
        bootstrap,
        "random = np.random.default_rng(seed)",
        "random = np.random.default_rng()",
        BOOTSTRAP,
    ),
    Mistake(
        bootstrap,
        "draws = random.integers(0, n_units,",
        "draws = random.integers(0, max(1, n_units - 1),",
        BOOTSTRAP,
    ),
    Mistake(bootstrap, "sums[:, len(numerators) :]", "exact[1].sum(axis=1)", BOOTSTRAP),
    Mistake(
        comparison,
        "abs(2 * (bits @ moving) - moving.sum()) >= as_far",
        "(2 * (bits @ moving) - moving.sum()) >= as_far",
        COMPARISON,
    ),
    Mistake(
        comparison,
        "float(sum(extreme) + 1) / (N_PERMUTATIONS + 1)",
        "float(sum(extreme)) / N_PERMUTATIONS",
        COMPARISON,
    ),
    Mistake(comparison, "np.arange(len(values), 0, -1)", "len(values)", COMPARISON),
    Mistake(
        comparison,
        "np.minimum(np.maximum.accumulate(stepped), 1.0)",
        "np.minimum(stepped, 1.0)",
        COMPARISON,
    ),
    Mistake(
        comparison,
        "np.minimum(np.maximum.accumulate(stepped), 1.0)",
        "np.maximum.accumulate(stepped)",
        COMPARISON,
    ),
    Mistake(comparison, "difference=mean_b - mean_a", "difference=mean_a - mean_b", COMPARISON),
    Mistake(
        comparison,
        "unlike = np.flatnonzero(np.isnan(before) != np.isnan(after))",
        "unlike = np.zeros(0)",
        COMPARISON,
    ),
    Mistake(
        comparison,
        "if clusters is None:\n        return differences",
        "if True:\n        return differences",
        COMPARISON,
    ),
]

RELEVANCE = [
    Mistake(
        ground_truth,
        "found = counts[self.query_labels.codes] - (self.self_ids != NO_ITEM)",
        "found = counts[self.query_labels.codes]",
        TRUTH,
    ),
    Mistake(
        ground_truth,
        "found - self._n_junk_alike(), np.int64",
        "found, np.int64",
        TRUTH,
    ),
    Mistake(ground_truth, "alike &= items != self.self_ids[queries]", "pass", TRUTH),
    Mistake(ground_truth, "np.append(self.base_labels.codes, -1)", "self.base_labels.codes", TRUTH),
    Mistake(
        ground_truth,
        "lists = lists.where(lists.items != self.self_ids[rows][lists.queries])",
        "pass",
        TRUTH,
    ),
    Mistake(
        ground_truth,
        "lists if self.junk is None else lists.without(self.junk.rows(rows))",
        "lists",
        TRUTH,
    ),
    Mistake(ground_truth, "removed = junk if removed is None else removed | junk", "pass", TRUTH),
    Mistake(
        ground_truth,
        "removed = (ids == self.self_ids[:, None]) & (ids != NO_ITEM)",
        "removed = np.arange(ids.shape[1]) == np.zeros((len(ids), 1))",
        TRUTH,
    ),
    Mistake(
        ground_truth,
        "shared / (n_mine + n_theirs - shared)",
        "shared / np.minimum(n_mine, n_theirs)",
        TRUTH,
    ),
    Mistake(
        ground_truth, "shared / (n_mine + n_theirs - shared)", "shared / (n_mine + n_theirs)", TRUTH
    ),
    Mistake(
        ground_truth,
        "self.judged.gains.max(initial=1.0)",
        "self.judged.gains.min(initial=1.0)",
        TRUTH,
    ),
    Mistake(
        ground_truth,
        "and self.junk is None\n            and len(self.query_rows)",
        "and len(self.query_rows)",
        COMPLETE,
        "not_mutual",
    ),
    Mistake(
        "core/ranking.py",
        "above = np.cumsum(removed, axis=1)",
        "above = np.cumsum(removed, axis=1) * 0",
        TRUTH,
    ),
    Mistake("core/ranking.py", "depth=depth - n_removed", "depth=depth", TRUTH),
    Mistake(
        "core/ranking.py",
        "np.lexsort((-gains, lists.queries))",
        "np.lexsort((gains, lists.queries))",
        COMPLETE,
        "gains_stand",
    ),
    Mistake(
        "core/judgements.py",
        "Judged(self.easy, self.junk.union(self.hard))",
        "Judged(self.easy, self.junk)",
        JUDGEMENTS,
    ),
    Mistake(
        "core/judgements.py",
        "Judged(self.hard, self.junk.union(self.easy))",
        "Judged(self.hard.union(self.easy), self.junk)",
        JUDGEMENTS,
    ),
    Mistake(
        "core/judgements.py",
        "Judged(self.easy.union(self.hard), self.junk)",
        "Judged(self.easy, self.junk)",
        JUDGEMENTS,
    ),
    Mistake(
        truth,
        "codes = cameras[items] * n_labels + labels.codes",
        "codes = cameras[items]",
        PROTOCOLS,
    ),
    Mistake(truth, "known = cameras[items] >= 0", "known = cameras[items] >= -1", PROTOCOLS),
    Mistake(
        truth, "known = np.flatnonzero(groups >= 0)", "known = np.arange(len(groups))", PROTOCOLS
    ),
    Mistake(truth, "junk.where(junk.items != rows[junk.queries])", "junk", PROTOCOLS),
    Mistake(
        truth,
        "n_base = len(ground_truth.base_names) + n_distractors",
        "n_base = len(ground_truth.base_names)",
        PROTOCOLS,
    ),
    Mistake(
        "protocols/near_duplicates.py",
        "alone = np.bincount(first, minlength=len(first))[first] == 1",
        "alone = np.bincount(first, minlength=len(first))[first] == 0",
        "unit/protocols/test_near_duplicates.py",
    ),
    Mistake(
        "metrics/neighbours.py",
        "tolerance=TIE_TOLERANCE * _spread(similarities)",
        "tolerance=1e-3 + 0 * _spread(similarities)",
        NEIGHBOURS,
    ),
    Mistake(
        "metrics/neighbours.py",
        "order = np.lexsort((items, -values, queries))",
        "order = np.lexsort((-items, -values, queries))",
        NEIGHBOURS,
    ),
]

COUNTING = [
    Mistake(
        plain,
        "np.lexsort((ids, -exact(ids)))",
        "np.lexsort((-ids, -exact(ids)))",
        COMPLETE,
        "numpy and (ties or same)",
    ),
    Mistake(
        plain, "np.lexsort((ids, -exact(ids)))", "np.argsort(ids)", COMPLETE, "numpy and last_bit"
    ),
    Mistake(
        plain, "block[ignored.queries, ignored.items] = -np.inf", "pass", COMPLETE, "numpy and junk"
    ),
    Mistake(
        similarity,
        "queries + queries if self.space",
        "queries if self.space",
        COMPLETE,
        "numpy and leave_one_out",
    ),
    Mistake(
        similarity,
        "block -= self.base_squares.astype(np.float32)",
        "pass",
        COMPLETE,
        "numpy and leave_one_out",
    ),
    Mistake(
        similarity,
        "values[part] = _added(-(left * left))",
        "values[part] = _added(left * left)",
        SIMILARITY,
    ),
    Mistake(similarity, "vectors = unit_rows(vectors)", "pass", COMPLETE, "product_of_unit_rows"),
    Mistake(tiles, "np.float32(2 if l2 else 1)", "np.float32(1)", COMPLETE, f"one and ({SMALL})"),
    Mistake(
        tiles,
        "offset += similarities.base_squares.astype(np.float32)",
        "pass",
        COMPLETE,
        f"one and ({SMALL})",
    ),
    Mistake(
        tiles,
        "for columns in blocks[place:]:",
        "for columns in blocks:",
        COMPLETE,
        "tiles_of_any_size",
    ),
    Mistake(tiles, "if rows != columns:", "if True:", COMPLETE, "tiles_of_any_size"),
    Mistake(
        tiles,
        "kernels.count(turned, columns.start, rows.start, queries, base, tally)",
        "kernels.count(turned, rows.start, columns.start, queries, base, tally)",
        COMPLETE,
        "tiles_of_any_size",
    ),
    Mistake(
        tiles,
        "kernels.count(turned, columns.start, rows.start, queries, base, tally)",
        "pass",
        COMPLETE,
        "tiles_of_any_size",
    ),
    Mistake(
        tiles,
        "left_out = _left_out(lists, work.truth.ignored_items(everything))",
        "left_out = _left_out(lists)",
        COMPLETE,
        "one and leave_one_out",
    ),
    Mistake(
        tiles,
        "left_out = _left_out(lists, truth.ignored_items(rows))",
        "left_out = _left_out(lists)",
        COMPLETE,
        "one and junk",
    ),
    Mistake(
        tiles,
        "vectors, band = _padded(work.similarities.queries), 2 *",
        "vectors, band = _padded(work.similarities.queries), 0 *",
        COMPLETE,
        "one and (last_bit or ties)",
    ),
    Mistake(
        kernels,
        "if difference > 0 or (difference == 0 and j < queries.items[middle]):",
        "if difference > 0 or (difference == 0 and j > queries.items[middle]):",
        COMPLETE,
        "one and ties",
    ),
    Mistake(
        kernels,
        "if difference > 0 or (difference == 0 and j < queries.items[middle]):",
        "if difference >= 0:",
        COMPLETE,
        "one and ties",
    ),
    Mistake(
        kernels, "table[cell:end] = -1 - k", "table[cell:end] = k", COMPLETE, f"one and ({SMALL})"
    ),
    Mistake(
        kernels,
        "begin = _cell(thresholds[k] - band, low, scale, last)",
        "begin = _cell(thresholds[k] + band, low, scale, last)",
        COMPLETE,
        "one and (ties or last_bit)",
    ),
    Mistake(
        kernels,
        "low = thresholds[0] - band",
        "low = thresholds[0] + band",
        COMPLETE,
        "one and (ties or last_bit)",
    ),
    Mistake(
        kernels,
        "own = _similarity64(query, query, False) if base.l2 else 0.0",
        "own = 0.0",
        COMPLETE,
        "one and leave_one_out",
    ),
    Mistake(
        kernels,
        "if items[middle] < column:",
        "if items[middle] <= column:",
        COMPLETE,
        f"one and ({SMALL})",
    ),
    Mistake(
        kernels,
        "while low < stop and items[low] < column + width:",
        "while low < stop and items[low] <= column + width - 2:",
        COMPLETE,
        f"one and ({SMALL})",
    ),
    Mistake(
        kernels,
        "ranks[start + k] = n_above + k + 1",
        "ranks[start + k] = n_above + 1",
        COMPLETE,
        "one and leave_one_out",
    ),
    Mistake(
        kernels,
        "for i in range(n_whole if j < width_whole else 0, n):",
        "for i in range(n_whole, n):",
        COMPLETE,
        "transposed",
    ),
    Mistake(
        device,
        "return block if self._offset is None else block.sub_(self._offset)",
        "return block",
        COMPLETE,
        "torch and leave_one_out",
    ),
    Mistake(
        device,
        "wins |= (similarity == theirs) & (columns < them.items[rows, there])",
        "pass",
        COMPLETE,
        "torch and ties",
    ),
    Mistake(
        device, 'torch.set_float32_matmul_precision("highest")', "pass", COMPLETE, "full_float32"
    ),
    Mistake(
        "metrics/complete.py",
        "gains[np.lexsort((ranked.items[inside], lists.queries))] = by_item",
        "gains[:] = by_item",
        COMPLETE,
        "gains_stand",
    ),
]
