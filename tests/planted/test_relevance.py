"""Mistakes that people make in who is relevant to whom, and who is near: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.planting import Mistake, check_noticed, check_passes, promise

TRAPS = "unit/metrics/test_traps.py"
NEIGHBOURS_TESTS = "unit/metrics/test_neighbours.py"
GROUND_TRUTH_TESTS = "unit/core/test_ground_truth.py"
ITEM_LISTS_TESTS = "unit/core/test_item_lists.py"
JUDGEMENTS_TESTS = "unit/core/test_judgements.py"
RANKING_TESTS = "unit/core/test_ranking.py"
TRUTH_TESTS = "unit/protocols/test_truth.py"
NEAR_DUPLICATES_TESTS = "unit/protocols/test_near_duplicates.py"

GROUND_TRUTH = "core/ground_truth.py"
ITEM_LISTS = "core/item_lists.py"
JUDGEMENTS = "core/judgements.py"
RANKING = "core/ranking.py"
TRUTH = "protocols/truth.py"
NEAR_DUPLICATES = "protocols/near_duplicates.py"
NEIGHBOURS = "metrics/neighbours.py"

MISTAKES = [
    # The query itself.
    Mistake(
        "R does not count the query itself",
        GROUND_TRUTH,
        "found = counts[self.query_labels.codes] - (self.self_ids != NO_ITEM)",
        "found = counts[self.query_labels.codes]",
        GROUND_TRUTH_TESTS,
        "query_itself",
    ),
    Mistake(
        "R does not count the query itself where items have several labels",
        GROUND_TRUTH,
        "lists = lists.where(lists.items != self.self_ids[rows][lists.queries])",
        "pass",
        GROUND_TRUTH_TESTS,
        "set_logic",
    ),
    Mistake(
        "the query itself is no hit",
        GROUND_TRUTH,
        "removed = (ids == self.self_ids[:, None]) & (ids != NO_ITEM)",
        "removed = np.zeros(ids.shape, bool)",
        TRAPS,
        "removed_before",
    ),
    Mistake(
        "the query is left out by its id, not by being first",
        GROUND_TRUTH,
        "removed = (ids == self.self_ids[:, None]) & (ids != NO_ITEM)",
        "removed = np.zeros(ids.shape, bool)\n            removed[:, 0] = True",
        GROUND_TRUTH_TESTS,
        "twin",
    ),
    Mistake(
        "the query takes no rank where it was not first",
        RANKING,
        "ranks -= above.ravel()[flat]",
        "pass",
        TRAPS,
        "removed_before",
    ),
    # Junk.
    Mistake(
        "junk takes no rank",
        GROUND_TRUTH,
        "removed = junk if removed is None else removed | junk",
        "pass",
        TRUTH_TESTS,
        "same_person or papers_own_steps",
    ),
    Mistake(
        "junk is neither relevant nor counted in R",
        GROUND_TRUTH,
        "lists if self.junk is None else lists.without(self.junk.rows(rows))",
        "lists",
        GROUND_TRUTH_TESTS,
        "junk_is_removed",
    ),
    Mistake(
        "R does not count junk of the query's own class",
        GROUND_TRUTH,
        "np.asarray(found - self._n_junk_alike(), np.int64)",
        "np.asarray(found, np.int64)",
        TRUTH_TESTS,
        "same_person",
    ),
    Mistake(
        "R leaves out the query once, though it is listed as junk of itself",
        GROUND_TRUTH,
        "alike &= items != self.self_ids[queries]",
        "pass",
        GROUND_TRUTH_TESTS,
        "junk_is_removed",
    ),
    Mistake(
        "a ranking is less deep by the junk in it",
        RANKING,
        "depth=depth - n_removed",
        "depth=depth",
        GROUND_TRUTH_TESTS,
        "junk_is_removed",
    ),
    Mistake(
        "only what is above an item moves it up",
        RANKING,
        "above = np.cumsum(removed, axis=1)",
        "above = np.repeat(removed.sum(axis=1)[:, None], removed.shape[1], axis=1)",
        GROUND_TRUTH_TESTS,
        "junk_is_removed",
    ),
    Mistake(
        "junk by the same camera has the same label, too",
        TRUTH,
        "codes = cameras[items] * n_labels + labels.codes",
        "codes = cameras[items]",
        TRUTH_TESTS,
        "same_person",
    ),
    Mistake(
        "junk by the same label has the same camera, too",
        TRUTH,
        "codes = cameras[items] * n_labels + labels.codes",
        "codes = labels.codes",
        TRUTH_TESTS,
        "same_person",
    ),
    Mistake(
        "two unknown cameras are not the same one",
        TRUTH,
        "known = cameras[items] >= 0",
        "known = cameras[items] >= -1",
        TRUTH_TESTS,
        "loop_over_all_pairs",
    ),
    Mistake(
        "items in no group are no near-duplicates of each other",
        TRUTH,
        "known = np.flatnonzero(groups >= 0)",
        "known = np.arange(len(groups))",
        TRUTH_TESTS,
        "loop_over_all_pairs",
    ),
    Mistake(
        "near-duplicates of several links are one group",
        NEAR_DUPLICATES,
        "return np.asarray(first_of_group[group], np.int64)",
        "left, right = left[apart], right[apart]\n"
        "    found = first.copy()\n"
        "    np.minimum.at(found, right, left)\n"
        "    return found",
        NEAR_DUPLICATES_TESTS,
        "chain",
    ),
    Mistake(
        "an item that is alone is in no group",
        NEAR_DUPLICATES,
        "minlength=len(first))[first] == 1",
        "minlength=len(first))[first] == 0",
        NEAR_DUPLICATES_TESTS,
        "pairs_connect",
    ),
    # What people have judged.
    Mistake(
        "hard items are junk where easy ones are asked for, not wrong",
        JUDGEMENTS,
        "Judged(self.easy, self.junk.union(self.hard))",
        "Judged(self.easy, self.junk)",
        JUDGEMENTS_TESTS,
        "what_is_not_asked_for",
    ),
    Mistake(
        "easy items are junk where hard ones are asked for, not relevant",
        JUDGEMENTS,
        "Judged(self.hard, self.junk.union(self.easy))",
        "Judged(self.hard.union(self.easy), self.junk)",
        JUDGEMENTS_TESTS,
        "what_is_not_asked_for",
    ),
    Mistake(
        "easy and hard items are relevant at medium difficulty",
        JUDGEMENTS,
        "Judged(self.easy.union(self.hard), self.junk)",
        "Judged(self.easy, self.junk)",
        JUDGEMENTS_TESTS,
        "what_is_not_asked_for",
    ),
    Mistake(
        "distractors are in the base",
        TRUTH,
        "n_base = len(ground_truth.base_names) + n_distractors\n    judged",
        "n_base, n_distractors = len(ground_truth.base_names), 0\n    judged",
        TRUTH_TESTS,
        "revisited_lists",
    ),
    Mistake(
        "relevance is what was judged, and not the name of a landmark",
        TRUTH,
        "        judged=judged.relevant,\n",
        "",
        TRUTH_TESTS,
        "landmark_is_no_relevance",
    ),
    Mistake(
        "a judged gain is that of its item, in whatever order they were listed",
        ITEM_LISTS,
        "gains=values[order])",
        "gains=values)",
        ITEM_LISTS_TESTS,
        "gains_stay",
    ),
    Mistake(
        "the ideal order begins with the highest gain",
        RANKING,
        "np.lexsort((-gains, lists.queries))",
        "np.lexsort((gains, lists.queries))",
        TRAPS,
        "order_of_judgements",
    ),
    Mistake(
        "the ideal order is not that of the judgements",
        RANKING,
        "order = np.lexsort((-gains, lists.queries))",
        "order = np.arange(len(gains))",
        TRAPS,
        "order_of_judgements",
    ),
    Mistake(
        "the highest gain is the highest that was judged",
        GROUND_TRUTH,
        "float(self.judged.gains.max(initial=1.0))",
        "1.0",
        GROUND_TRUTH_TESTS,
        "people_have_judged",
    ),
    # Labels.
    Mistake(
        "two shared labels make one relevant item",
        GROUND_TRUTH,
        "if not self._single:\n            n_base",
        "if self.graded:\n            n_base",
        GROUND_TRUTH_TESTS,
        "several_labels",
    ),
    Mistake(
        "an item with several labels is relevant by any of them",
        GROUND_TRUTH,
        "return self._single and self.judged is None",
        "return self.judged is None and not self.graded",
        GROUND_TRUTH_TESTS,
        "several_labels or set_logic",
    ),
    Mistake(
        "the overlap of labels is a share of the union",
        GROUND_TRUTH,
        "shared / (n_mine + n_theirs - shared)",
        "shared / np.minimum(n_mine, n_theirs)",
        TRUTH_TESTS,
        "jaccard",
    ),
    Mistake(
        "the union of labels counts shared ones once",
        GROUND_TRUTH,
        "shared / (n_mine + n_theirs - shared)",
        "2 * shared / (n_mine + n_theirs)",
        TRUTH_TESTS,
        "jaccard",
    ),
    Mistake(
        "padding is no hit, though -1 is the last item",
        GROUND_TRUTH,
        "np.append(self.base_labels.codes, -1).astype(np.int32)",
        "self.base_labels.codes.astype(np.int32)",
        GROUND_TRUTH_TESTS,
        "padding",
    ),
    Mistake(
        "an id that is not in the list of its query may be in that of the next",
        ITEM_LISTS,
        "n_base = max(int(self.items.max(initial=0)), int(ids.max(initial=0))) + 2",
        "n_base = int(self.items.max(initial=0)) + 1",
        ITEM_LISTS_TESTS,
        "found_where_they_stand",
    ),
    Mistake(
        "labels are whole numbers, which float32 cannot tell apart from 2^24 on",
        "scoring/labels.py",
        "return np.asarray(array, np.int64)\n    _refuse_missing",
        "return np.asarray(array, np.float32).astype(np.int64)\n    _refuse_missing",
        "unit/scoring/test_labels.py",
        "float32_takes_for_one",
    ),
    # Neighbours.
    Mistake(
        "ties of neighbours have a tolerance relative to the spread",
        NEIGHBOURS,
        "tolerance=TIE_TOLERANCE * _spread(similarities)",
        "tolerance=np.full(n_queries, 1e-3)",
        TRAPS,
        "tight_class",
    ),
    Mistake(
        "ties of neighbours have a tolerance",
        NEIGHBOURS,
        "tolerance=TIE_TOLERANCE * _spread(similarities)",
        "tolerance=np.zeros(n_queries)",
        NEIGHBOURS_TESTS,
        "cannot_tell_apart",
    ),
    Mistake(
        "equally near neighbours are found, whichever they are",
        NEIGHBOURS,
        "hits = self.similarity >= self.exact.threshold(k)[:, None]",
        "hits = self.similarity > self.exact.threshold(k)[:, None] + 2 * self.exact.tolerance[:, None]",
        NEIGHBOURS_TESTS,
        "equally_near",
    ),
    Mistake(
        "ties raise no recall above 1",
        NEIGHBOURS,
        "PositiveRanks.from_hits(hits, np.minimum(self.exact.n_neighbours, k))",
        "PositiveRanks.from_hits(hits, hits.sum(axis=1))",
        NEIGHBOURS_TESTS,
        "no_recall_above_1",
    ),
    Mistake(
        "the threshold of k neighbours is the k-th's",
        NEIGHBOURS,
        "last = np.clip(self.n_neighbours, 1, k) - 1",
        "last = np.clip(self.n_neighbours, 1, None) - 1",
        NEIGHBOURS_TESTS,
        "higher_threshold",
    ),
    Mistake(
        "neighbours of equal similarity are in the order of their ids",
        NEIGHBOURS,
        "np.lexsort((items, -values, queries))",
        "np.lexsort((-items, -values, queries))",
        NEIGHBOURS_TESTS,
        "first_of_the_exact",
    ),
    Mistake(
        "neighbours are in the order of float64 similarities",
        NEIGHBOURS,
        "values = similarities.exact(queries + rows.start, items)",
        "values = block[queries, items].astype(np.float64)",
        NEIGHBOURS_TESTS,
        "first_of_the_exact or blocks_change_nothing",
    ),
    Mistake(
        "neighbours of a second block are those of its queries",
        NEIGHBOURS,
        "similarities.exact(queries + rows.start, items)",
        "similarities.exact(queries, items)",
        NEIGHBOURS_TESTS,
        "blocks_change_nothing",
    ),
    Mistake(
        "the query itself is no neighbour",
        NEIGHBOURS,
        "leave_out_self(block, self_ids[rows])",
        "pass",
        NEIGHBOURS_TESTS,
        "first_of_the_exact",
    ),
]


def test_without_a_mistake_the_tests_pass(runner):
    """Otherwise nothing would have been noticed."""
    check_passes(MISTAKES, runner)


@pytest.mark.parametrize("mistake", MISTAKES, ids=promise)
def test_a_mistake_is_noticed(mistake, runner):
    """By the tests that are there for it."""
    check_noticed(mistake, runner)
