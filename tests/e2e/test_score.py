"""`cbir-bench score` through the command line: files in, tables and files out, mistakes in one sentence."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from e2e.tiny import cbir_bench
from unit.metrics.builders import clustered

from cbir_bench.cli import main
from cbir_bench.scoring import score_embeddings

SCHEMA = Path(__file__).parents[2] / "docs" / "score.schema.json"
RUN = "a Q0 d1 1 3 x\na Q0 d2 2 2 x\na Q0 d3 3 1 x\nb Q0 d2 1 9 x\nb Q0 d4 2 8 x\nb Q0 d1 3 7 x\n"
QRELS = "a 0 d1 1\na 0 d3 2\na 0 d9 1\nb 0 d4 1\nb 0 d2 0\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with 60 items of six classes, 12 queries, a TREC run and its qrels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    vectors, names = clustered(72, 8, 6, seed=3)
    labels = np.array([int(name.split()[1]) for name in names])
    np.save("E.npy", vectors[:60])
    np.save("y.npy", labels[:60])
    np.save("Q.npy", vectors[60:])
    np.save("q.npy", labels[60:])
    Path("run.trec").write_text(RUN)
    Path("run.qrels").write_text(QRELS)
    return tmp_path


def score(*arguments):
    """Run the command in this process and return what it printed."""
    actual = CliRunner().invoke(main, ["score", *arguments])
    assert actual.exit_code == 0, actual.stderr
    return actual.stdout


def refused(*arguments):
    """Run a command that has to be refused and return its sentence."""
    actual = CliRunner().invoke(main, ["score", *arguments])
    assert actual.exit_code == 2, actual.output
    assert "Traceback" not in actual.output
    assert not actual.stdout
    return actual.stderr


FULL_BASE = ("--embeddings", "E.npy", "--labels", "y.npy")
QUERY_SET = (*FULL_BASE, "--queries", "Q.npy", "--query-labels", "q.npy")
TREC = ("--run", "run.trec", "--qrels", "run.qrels")


def document(*arguments):
    """Return the JSON that the command writes, held against its schema where that is at hand."""
    score(*arguments, "--json", "out.json")
    found = json.loads(Path("out.json").read_text(encoding="utf-8"))
    if SCHEMA.is_file():  # it is beside the tests in a checkout only
        jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return found


def macro(found, labels="label"):
    """Return the macro averages of one section."""
    return {m["name"]: m["macro"]["value"] for m in found["metrics"] if m["labels"] == labels}


def test_the_installed_command_prints_a_table(place):
    """The shortest way from two files to every metric."""
    actual = cbir_bench(place, "score", *FULL_BASE)

    assert actual.returncode == 0, actual.stderr
    assert actual.stderr == ""
    assert "full-base: 60 queries, each against all others; 8 dimensions, cosine" in actual.stdout
    assert [line.split()[0] for line in actual.stdout.splitlines()[3:6]] == [
        "ap",
        "map_at_r",
        "r_precision",
    ]
    assert "\x1b" not in actual.stdout


def test_a_document_of_another_layout_is_no_such_document(place):
    """The schema that every test holds documents against refuses what it does not know."""
    if not SCHEMA.is_file():
        pytest.skip("the schema is beside the tests in a checkout only")
    found = {**document(*TREC), "mean": 0.5}

    with pytest.raises(jsonschema.ValidationError, match="mean"):
        jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_command_and_the_function_agree(place):
    """They are two doors to the same rooms."""
    expected = score_embeddings(np.load("E.npy"), np.load("y.npy"), metrics="ap,ndcg@5", space="ip")

    actual = document(*FULL_BASE, "--metrics", "ap,ndcg@5", "--space", "ip")

    averages = dict(expected.values)
    for found in actual["metrics"]:
        value = averages[found["name"]]
        assert found["macro"] == {"value": value.mean, "low": value.low, "high": value.high}
        assert found["class"]["value"] == value.by_class.value
        assert found["micro"]["high"] == value.micro.high
        assert found["weighted"]["low"] == value.weighted.low
    assert actual["space"] == "ip"


def write(path, array, labels):
    """Write vectors and labels in the format that a file's name says."""
    if path == "E.npz":
        np.savez(path, embeddings=array, other=np.zeros(3))
    elif path.endswith("parquet"):
        pd.DataFrame({"id": labels.index, "embedding": list(array)}).to_parquet(path)
    elif path.endswith("csv"):
        columns = {f"d{i}": array[:, i] for i in range(array.shape[1])}
        pd.DataFrame({"id": labels.index, **columns}).to_csv(path, index=False)


@pytest.mark.parametrize("vectors", ["E.npz", "E.npz:embeddings", "E.parquet", "E.csv"])
@pytest.mark.parametrize("table", ["y.csv", "y.tsv", "y.parquet", "y.npz"])
def test_every_format_gives_the_same_numbers(place, vectors, table):
    """A format is no part of a definition; CSV keeps all digits of float32."""
    labels = pd.Series(np.load("y.npy"), name="label", index=[f"i{i}" for i in range(60)])
    write(vectors.split(":")[0], np.load("E.npy"), labels)
    frame = labels.rename_axis("id").reset_index()
    if table.endswith(("csv", "tsv")):
        frame.to_csv(table, index=False, sep="\t" if table.endswith("tsv") else ",")
    elif table.endswith("parquet"):
        frame.to_parquet(table)
    else:
        np.savez(
            table,
            **{name: frame[name].to_numpy() for name in ["label"]},
            id=frame["id"].to_numpy(str),
        )
    expected = macro(document(*FULL_BASE))

    actual = macro(document("--embeddings", vectors, "--labels", table))

    assert actual == expected


def test_rows_of_two_tables_are_matched_by_id(place):
    """A table that was sorted in between would else be scored with the labels of others."""
    ids = [f"i{i}" for i in range(60)]
    labels = pd.Series(np.load("y.npy"), name="label", index=ids)
    write("E.parquet", np.load("E.npy"), labels)
    expected = macro(document(*FULL_BASE))
    labels.sample(frac=1, random_state=1).rename_axis("id").to_csv("y.csv")

    actual = macro(document("--embeddings", "E.parquet", "--labels", "y.csv"))

    assert actual == expected


def test_coarse_and_fine_labels_are_scored_at_once(place):
    """One search answers both."""
    fine = np.load("y.npy")
    pd.DataFrame({"fine": fine, "coarse": np.where(fine < 3, "low", "high")}).to_csv("y.csv")

    actual = document(
        "--embeddings", "E.npy", "--labels", "y.csv", "--label-column", "fine", "--label-column", "coarse",
        "--metrics", "ap", "--per-query", "p.parquet",
    )  # fmt: skip

    assert {m["labels"]: m["n_classes"] for m in actual["metrics"]} == {"fine": 6, "coarse": 2}
    rows = pd.read_parquet("p.parquet")
    assert rows["labels"].value_counts().to_dict() == {"fine": 60, "coarse": 60}


def test_several_labels_of_an_item_match_by_any_and_are_graded_by_overlap(place):
    """A photo shows more than one thing."""
    pd.DataFrame({"label": ["a|b", "b", "c", "a | b| "]}).to_csv("y.csv", index=False)
    np.save("E.npy", np.array([[1, 0], [0.9, 0.1], [0, 1], [0.5, 0.5]], np.float32))

    actual = document(
        "--embeddings", "E.npy", "--labels", "y.csv", "--label-separator", "|", "--graded",
        "--metrics", "ap,ndcg", "--per-query", "p.parquet",
    )  # fmt: skip

    rows = pd.read_parquet("p.parquet")
    assert rows["n_relevant"].tolist() == [2, 2, 0, 2]
    ideal = 1 + 0.5 / np.log2(3)
    assert rows["ndcg"][0] == pytest.approx((0.5 + 1 / np.log2(3)) / ideal)
    assert actual["metrics"][0]["n_left_out"] == 1


def test_items_of_the_same_camera_are_junk_until_they_are_kept(place):
    """Market-1501's rule holds wherever there is a column of cameras."""
    labels, random = np.load("y.npy"), np.random.default_rng(0)
    pd.DataFrame({"label": labels, "camera": random.integers(0, 3, 60)}).to_csv("y.csv")
    files = ("--embeddings", "E.npy", "--labels", "y.csv", "--metrics", "ap")

    junk, kept = document(*files), document(*files, "--same-camera", "keep")

    assert any("junk" in note["note"] for note in junk["notes"])
    assert macro(kept) == macro(document(*FULL_BASE, "--metrics", "ap"))
    assert macro(junk) != macro(kept)


def test_near_duplicates_are_reported_and_left_out_on_demand(place):
    """The copy of a query is found by anything and proves nothing."""
    vectors, labels = np.load("E.npy"), np.load("y.npy")
    np.save("E.npy", np.concatenate([vectors, vectors[:5]]))
    np.save("y.npy", np.concatenate([labels, labels[:5]]))

    reported = document(*FULL_BASE, "--metrics", "ap", "--near-duplicates", "report",
                        "--duplicate-threshold", "0.9999")  # fmt: skip
    excluded = document(*FULL_BASE, "--metrics", "ap", "--near-duplicates", "exclude",
                        "--duplicate-threshold", "0.9999")  # fmt: skip

    notes = [note["note"] for note in reported["notes"]]
    assert notes == ["10 items are near-duplicates of each other, in 5 groups of up to 2."]
    assert macro(excluded)["ap"] < macro(reported)["ap"]


def write_ground_truth(path, n_queries=3, n_base=12):
    """Write a ground truth as the authors of Revisited Oxford do."""
    entry = {"bbx": [0.0, 0.0, 9.0, 9.0], "easy": [0, 1], "hard": [2], "junk": [3]}
    content = {
        "qimlist": [f"tower_{i:06d}" for i in range(n_queries)],
        "imlist": [f"bridge_{i:06d}" for i in range(n_base)],
        "gnd": [entry] * n_queries,
    }
    Path(path).write_bytes(pickle.dumps(content, protocol=2))


def test_revisited_oxford_has_a_section_for_each_difficulty(place):
    """With and without distractors, which are relevant to nobody."""
    write_ground_truth("gnd_roxford5k.pkl")
    random = np.random.default_rng(2)
    for name, n in (("B.npy", 12), ("D.npy", 40), ("A.npy", 3)):
        np.save(name, random.standard_normal((n, 4)).astype(np.float32))
    files = ("--embeddings", "B.npy", "--queries", "A.npy", "--revisited", "gnd_roxford5k.pkl")

    alone = document(*files)
    hidden = document(*files, "--distractors", "D.npy", "--difficulty", "hard")

    assert [m["labels"] for m in alone["metrics"] if m["name"] == "oxford_ap"] == [
        "easy",
        "medium",
        "hard",
    ]
    assert (alone["n_base"], hidden["n_base"]) == (12, 52)
    assert macro(hidden, "hard")["oxford_ap"] <= macro(alone, "hard")["oxford_ap"]


def test_a_run_is_scored_as_trec_eval_does_where_both_define_it(place):
    """By the rules of a few lines that anyone can check."""
    actual = macro(document(*TREC, "--metrics", "ap@3,precision@1,recall@3"), "qrels")

    assert actual == {
        "ap@3": pytest.approx((5 / 9 + 1 / 2) / 2),
        "precision@1": 0.5,
        "recall@3": pytest.approx((2 / 3 + 1) / 2),
    }


def test_exported_rankings_score_as_they_did(place):
    """Through files, in ours and in trec_eval's reading."""
    import ir_measures

    before = document(*QUERY_SET, "--metrics", "map_at_r,ndcg@10,recall@20", "--write-run", "e.trec",
                      "--write-qrels", "e.qrels")  # fmt: skip
    after = document(
        "--run", "e.trec", "--qrels", "e.qrels", "--metrics", "map_at_r,ndcg@10,recall@20"
    )
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in ("nDCG@10", "R@20", "AP")],
        ir_measures.read_trec_qrels("e.qrels"),
        ir_measures.read_trec_run("e.trec"),
    )

    assert macro(after, "qrels") == pytest.approx(macro(before))
    by_name = {str(measure): value for measure, value in theirs.items()}
    assert by_name["nDCG@10"] == pytest.approx(macro(before)["ndcg@10"])
    assert by_name["R@20"] == pytest.approx(macro(before)["recall@20"])
    ap = macro(document(*QUERY_SET, "--metrics", "ap"))["ap"]
    assert by_name["AP"] == pytest.approx(ap)  # the lists hold all of the base


def test_a_run_and_labels_by_id_do_without_qrels(place):
    """Rankings of an index against the table that everybody has; junk is removed, too."""
    names = [f"i{i}" for i in range(60)]
    pd.DataFrame({"id": names, "label": np.load("y.npy"), "camera": np.arange(60) % 3}).to_csv(
        "y.csv"
    )
    files = ("--embeddings", "E.npy", "--labels", "y.csv", "--metrics", "r_precision,ndcg@10")
    before = document(*files, "--write-run", "e.trec", "--write-qrels", "e.qrels")

    lines = Path("e.trec").read_text().splitlines(keepends=True)
    Path("e.trec").write_text("".join(reversed(lines)))  # the last query first
    after = document("--run", "e.trec", "--labels", "y.csv", "--metrics", "r_precision,ndcg@10")

    assert macro(after) == pytest.approx(macro(before))


def test_compressed_files_are_read(place):
    """Runs are large."""
    for name in ("run.trec", "run.qrels"):
        Path(f"{name}.gz").write_bytes(gzip.compress(Path(name).read_bytes()))
    expected = score(*TREC)

    assert score("--run", "run.trec.gz", "--qrels", "run.qrels.gz") == expected


def test_a_system_is_compared_with_itself_and_with_a_worse_one(place):
    """Paired, query by query, with a correction for the number of metrics."""
    score(*FULL_BASE, "--metrics", "ap,mrr", "--per-query", "good.parquet")
    same = document(*FULL_BASE, "--metrics", "ap,mrr", "--against", "good.parquet")
    noise = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    np.save("E.npy", np.load("E.npy") + 2 * noise)

    worse = document(*FULL_BASE, "--metrics", "ap,mrr", "--against", "good.parquet")

    assert [(c["difference"]["value"], c["p_holm"]) for c in same["comparison"]] == [(0, 1), (0, 1)]
    assert all(c["difference"]["value"] < 0 for c in worse["comparison"])
    assert worse["comparison"][0]["p_holm"] >= worse["comparison"][0]["p_value"]


def test_queries_of_two_systems_are_matched_by_name(place):
    """A file may have been sorted in between."""
    score(*FULL_BASE, "--metrics", "ap", "--per-query", "p.parquet")
    pd.read_parquet("p.parquet").sample(frac=1, random_state=0).to_parquet("p.parquet")

    actual = document(*FULL_BASE, "--metrics", "ap", "--against", "p.parquet")

    assert actual["comparison"][0]["n_equal"] == 60


def test_what_happens_to_queries_that_one_file_lacks_is_said(place):
    """A missing query counts as 0, an unjudged one does not count."""
    Path("run.trec").write_text(RUN.replace("b Q0", "c Q0"))

    actual = score(*TREC, "--metrics", "recall@3")

    assert "1 of 2 queries of the qrels are not in the run: they have found nothing" in actual
    assert "1 of 2 queries of the run are not in the qrels, and are left out" in actual
    assert "0.3333" in actual


def test_ties_of_a_run_are_counted_and_go_by_id(place):
    """The same file gives the same numbers, whatever order its lines have."""
    Path("run.trec").write_text("a Q0 d3 1 1 x\na Q0 d1 2 1 x\nb Q0 d4 1 1 x\n")

    actual = score(*TREC, "--metrics", "ap@1", "--per-query", "p.parquet")

    assert "1 of 3 results have the same score as the one before" in actual
    assert pd.read_parquet("p.parquet")["query"].tolist() == ["a", "b"]


def test_a_run_that_lists_the_whole_base_is_complete(place):
    """Then ap has a value."""
    Path("run.qrels").write_text("a 0 d1 1\na 0 d3 2\nb 0 d4 1\n")

    actual = document(*TREC, "--n-base", "3", "--metrics", "ap")

    assert macro(actual, "qrels")["ap"] == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_only_the_first_ranks_of_a_run_are_looked_at_on_demand(place):
    """Two runs of different depth are compared at the same."""
    actual = document(*TREC, "--depth", "1")

    assert actual["depth"] == 1
    assert actual["metrics"][0]["name"] == "ap@1"


def test_curves_pass_through_the_metrics_that_they_are_made_of(place):
    """The CMC curve is hit_rate@k for each k, and the best precision at recall 0 is that of the top."""
    actual = document(*QUERY_SET, "--metrics", "hit_rate@1,hit_rate@10,ap_11pt", "--curves")

    curves = {curve["name"]: curve for curve in actual["curves"]}
    values = macro(actual)
    assert curves["cmc"]["y"][0] == pytest.approx(values["hit_rate@1"])
    assert curves["cmc"]["y"][9] == pytest.approx(values["hit_rate@10"])
    assert curves["precision_recall_101"]["x"][-1] == 1
    assert np.mean(curves["precision_recall_11"]["y"]) == pytest.approx(values["ap_11pt"])


def test_a_sample_keeps_each_querys_own_camera(place):
    """Junk is that of the queries that were drawn, not of the first ones."""
    pd.DataFrame({"label": np.load("y.npy"), "camera": np.arange(60) % 2}).to_csv("b.csv")
    pd.DataFrame({"label": np.load("q.npy"), "camera": np.arange(12) % 3}).to_csv("q.csv")
    files = (
        "--embeddings",
        "E.npy",
        "--labels",
        "b.csv",
        "--queries",
        "Q.npy",
        "--query-labels",
        "q.csv",
    )
    score(*files, "--metrics", "ap", "--per-query", "all.parquet")
    score(*files, "--metrics", "ap", "--per-query", "some.parquet", "--n-queries", "5")

    whole = pd.read_parquet("all.parquet").set_index("query")
    drawn = pd.read_parquet("some.parquet").set_index("query")

    assert len(drawn) == 5
    pd.testing.assert_frame_equal(drawn, whole.loc[drawn.index])


def test_a_sample_of_queries_is_the_same_for_the_same_seed(place):
    """And the rest of the items stay in the base."""
    first, again, other = (
        document(*FULL_BASE, "--n-queries", "20", "--seed", seed, "--metrics", "ap")
        for seed in "001"
    )

    assert (first["n_queries"], first["n_base"]) == (20, 60)
    assert first["metrics"] == again["metrics"]
    assert first["metrics"] != other["metrics"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["--embeddings", "--run"]),
        (("--embeddings", "E.npy"), ["E.npy has no 'label' beside its vectors", "--labels"]),
        (
            (*FULL_BASE, "--queries", "Q.npy"),
            ["Q.npy has no 'label' beside its vectors", "--query-labels"],
        ),
        ((*FULL_BASE, "--query-labels", "q.npy"), ["--query-labels needs --queries"]),
        ((*FULL_BASE, "--protocol", "query-set"), ["query-set needs --queries"]),
        ((*QUERY_SET, "--protocol", "full-base"), ["--queries", "too many"]),
        ((*FULL_BASE, "--qrels", "run.qrels"), ["--qrels and --embeddings exclude each other"]),
        ((*TREC, "--embeddings", "E.npy"), ["--embeddings and --run exclude each other"]),
        (("--run", "run.trec"), ["neither --qrels nor --labels"]),
        ((*TREC, "--labels", "y.npy"), ["both --qrels and --labels"]),
        ((*FULL_BASE, "--difficulty", "easy"), ["--difficulty goes with --revisited"]),
        ((*FULL_BASE, "--duplicate-threshold", ".9"), ["--near-duplicates"]),
        ((*FULL_BASE, "--curves"), ["--curves goes with --json"]),
        ((*FULL_BASE, "--depth", "5"), ["--depth goes with"]),
        ((*FULL_BASE, "--same-camera", "keep"), ["--same-camera", "without cameras"]),
        ((*FULL_BASE, "--metrics", "precison@2"), ["Did you mean 'precision'?"]),
        ((*FULL_BASE, "--metrics", "ap@ten"), ["'ten'", "whole number"]),
        ((*FULL_BASE, "--metrics", " , "), ["No metric is named"]),
        ((*FULL_BASE, "--metrics", "knn_recall@5"), ["knn_recall@5", "exact search"]),
        ((*FULL_BASE, "--metrics", "recall@60"), ["recall@60", "59 items at most"]),
        ((*TREC, "--metrics", "recall@4"), ["recall@4 needs 4 ranks but the ranking has 3"]),
        ((*TREC, "--metrics", "ap"), ["ap needs the ranks of all relevant items", "ap@3"]),
        ((*TREC, "--resample", "classes"), ["no classes"]),
        ((*TREC, "--n-base", "2"), ["3 relevant documents", "2 documents"]),
        ((*FULL_BASE, "--label-column", "coarse"), ["no column 'coarse'"]),
        ((*FULL_BASE, "--label-separator", "|"), ["no text", "--label-separator"]),
        ((*FULL_BASE, "--json", "no/out.json"), ["'no'", "does not exist"]),
        ((*FULL_BASE, "--json", "."), ["is a folder"]),
        ((*FULL_BASE, "--json", "fifo"), ["--json fifo is no file"]),
        ((*FULL_BASE, "--per-query", "./E.npy"), ["is the file of --embeddings", "replace"]),
        ((*FULL_BASE, "--json", "o", "--per-query", "o"), ["is the file of --json"]),
        ((*FULL_BASE, "--against", "no.parquet"), ["no.parquet", "--per-query"]),
        (("--embeddings", "no.npy", "--labels", "y.npy"), ["'no.npy' does not exist"]),
        (("--embeddings", "E.npy", "--labels", "."), ["is a folder"]),
        (("--embeddings", "run.trec", "--labels", "y.npy"), ["does not say what it is"]),
        (("--run", "no.trec", "--qrels", "run.qrels"), ["'no.trec' does not exist"]),
    ],
)
def test_a_mistake_in_the_options_is_one_sentence(place, arguments, words):
    """It names what was found and what to do, before anything is computed."""
    os.mkfifo("fifo")

    actual = refused(*arguments)

    for word in words:
        assert word in actual


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda e, y: (np.where(np.arange(60)[:, None] == 7, np.nan, e), y),
            ["1 of 60", "row 7", "NaN"],
        ),
        (lambda e, y: (np.where(np.arange(60)[:, None] == 7, np.inf, e), y), ["infinity"]),
        (lambda e, y: (np.where(np.arange(60)[:, None] == 7, 0, e), y), ["all zero"]),
        (lambda e, y: (e.astype(np.float64) * 1e60, y), ["too large"]),
        (lambda e, y: (e[:, 0], y), ["shape (60,)"]),
        (lambda e, y: (e.astype(str), y), ["type <U"]),
        (lambda e, y: (e[:0], y[:0]), ["no rows"]),
        (lambda e, y: (e, y[:59]), ["60 embeddings but 59 labels"]),
        (lambda e, y: (e, y + 0.5), [".5", "no whole number"]),
        (lambda e, y: (e, np.where(y == 0, np.nan, y)), ["labels are missing"]),
        (lambda e, y: (e, (y + 2**24 + 1).astype(np.float32)), ["float32", "rounded"]),
        (lambda e, y: (e, np.stack([y, y], 1)), ["shape (60, 2)"]),
        (lambda e, y: (e, np.zeros(60, int)), ["All items have the same label '0'"]),
        (lambda e, y: (e, np.arange(60)), ["Nothing in the base is relevant"]),
    ],
)
def test_arrays_that_cannot_be_scored_are_refused(place, change, words):
    """A number from them would be about something else."""
    with np.errstate(over="ignore"):
        vectors, labels = change(np.load("E.npy"), np.load("y.npy"))
    np.save("E.npy", vectors)
    np.save("y.npy", labels)

    actual = refused(*FULL_BASE)

    for word in words:
        assert word in actual


def test_labels_as_whole_floats_are_labels(place):
    """Tables with a gap somewhere make all their numbers floats."""
    expected = score(*FULL_BASE)
    np.save("y.npy", np.load("y.npy").astype(np.float64))

    assert score(*FULL_BASE) == expected


def test_files_that_are_no_whole_arrays_are_refused(place):
    """Cut off, of another kind, or able to run a program."""
    whole = Path("E.npy").read_bytes()
    objects = np.array([{}, None], object)
    np.save("objects.npy", objects, allow_pickle=True)
    np.savez("objects.npz", label=objects, allow_pickle=True)
    Path("cut.npy").write_bytes(whole[: len(whole) // 2])
    Path("text.npy").write_bytes(b"hello")
    Path("cut.npz").write_bytes(b"PK\x03\x04")
    Path("cut.parquet").write_bytes(b"PAR1")

    assert "cut off" in refused("--embeddings", "cut.npy", "--labels", "y.npy")
    assert "no NumPy file" in refused("--embeddings", "text.npy", "--labels", "y.npy")
    assert "could run any program" in refused("--embeddings", "E.npy", "--labels", "objects.npy")
    assert "could run any program" in refused("--embeddings", "E.npy", "--labels", "objects.npz")
    assert "cut.npz" in refused("--embeddings", "cut.npz", "--labels", "y.npy")
    assert "cut.parquet" in refused("--embeddings", "cut.parquet", "--labels", "y.npy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,label\na,1\na,2\n", ["id 'a' twice"]),
        ("id,kind,sort\na,1,2\nb,2,1\n", ["no column 'label'", "--label-column"]),
        ("id,label\na,1\nb,\n", ["1 of 2 labels are missing", "row 1"]),
        ("id,label\na,1.5\nb,2.0\n", ["1.5", "no whole number"]),
        ("id,label\n", ["no rows"]),
        ("", ["y.csv"]),
        ("label,label\n1,2\n", ["two columns 'label'"]),
    ],
)
def test_tables_with_gaps_are_refused(place, text, words):
    """A row without a label is no class of its own."""
    Path("y.csv").write_text(text)

    actual = refused("--embeddings", "E.npy", "--labels", "y.csv")

    for word in words:
        assert word in actual


def test_an_id_that_nobody_knows_is_refused(place):
    """Of a vector, of a document, and of a query."""
    ids = [f"i{i}" for i in range(60)]
    write("E.parquet", np.load("E.npy"), pd.Series(np.load("y.npy"), name="label", index=ids))
    pd.DataFrame({"id": ["d1", "d2", "d3", "d4", "a", "i0"], "label": list("xxyyyy")}).to_csv(
        "y.csv"
    )

    vector = refused("--embeddings", "E.parquet", "--labels", "y.csv")
    query = refused("--run", "run.trec", "--labels", "y.csv")
    Path("run.trec").write_text(RUN.replace("d4", "d5"))
    item = refused("--run", "run.trec", "--labels", "y.csv")

    assert "'i1', which y.csv does not know" in vector
    assert "has the query 'b', which the labels do not know" in query
    assert "retrieves the document 'd5', which the labels do not know" in item


def test_queries_of_other_dimensions_are_refused(place):
    """They come from another model."""
    np.save("Q.npy", np.load("Q.npy")[:, :7])

    assert "The queries have 7 dimensions and the base has 8" in refused(*QUERY_SET)


@pytest.mark.parametrize(
    ("run", "qrels", "words"),
    [
        ("", QRELS, ["run.trec is empty"]),
        ("\n \n", QRELS, ["run.trec is empty"]),
        (RUN, "", ["run.qrels is empty"]),
        (RUN.replace("2 2 x", "2 nan x"), QRELS, ["score nan", "query 'a'"]),
        (RUN.replace("2 2 x", "2 inf x"), QRELS, ["score inf"]),
        (RUN.replace("2 2 x", "2 two x"), QRELS, ["Line 2", "'two'", "no number"]),
        (RUN.replace("d2", "d1", 1), QRELS, ["document 'd1' twice for query 'a'"]),
        (RUN.replace(" x\nb", "\nb"), QRELS, ["Line 3", "5 columns where 6"]),
        (RUN, QRELS + "a 0 d1 0\n", ["run.qrels", "'d1' twice for query 'a'"]),
        (RUN, QRELS.replace("d3 2", "d3 1.5"), ["Line 2", "'1.5'", "no whole number"]),
        (RUN, "c 0 d1 1\n", ["no query in common"]),
        (RUN, "a 0 d1 0\nb 0 d2 -1\n", ["Nothing in the base is relevant"]),
        (RUN.encode() + b"\xff\xfe Q0 d1 1 1 x\n", QRELS, ["run.trec", "UTF-8"]),
    ],
)
def test_trec_files_that_say_nothing_are_refused(place, run, qrels, words):
    """The sentence names the file, and the line where that helps."""
    Path("run.trec").write_bytes(run if isinstance(run, bytes) else run.encode())
    Path("run.qrels").write_text(qrels)

    actual = refused(*TREC)

    for word in words:
        assert word in actual


def test_systems_on_other_queries_are_not_compared(place):
    """A difference of two samples is no difference of two systems."""
    score(*FULL_BASE, "--metrics", "ap", "--per-query", "p.parquet", "--n-queries", "30")
    fewer = refused(*FULL_BASE, "--metrics", "ap", "--against", "p.parquet")
    score(*FULL_BASE, "--metrics", "ap", "--per-query", "p.parquet")
    np.save("y.npy", np.load("y.npy") // 2)
    others = refused(*FULL_BASE, "--metrics", "ap", "--against", "p.parquet")

    assert "is missing in p.parquet" in fewer
    assert "other numbers of relevant items" in others


def test_trec_files_hold_one_ground_truth(place):
    """Two kinds of labels would overwrite each other; fractions and blanks could not be read again."""
    pd.DataFrame({"a": np.load("y.npy"), "b": np.load("y.npy") // 2}).to_csv("y.csv")
    pd.DataFrame({"id": [f"item {i}" for i in range(60)], "label": np.load("y.npy")}).to_csv(
        "z.csv"
    )
    several = ("--label-column", "a", "--label-column", "b")

    two = refused(
        "--embeddings", "E.npy", "--labels", "y.csv", *several, "--write-qrels", "o.qrels"
    )
    blanks = refused("--embeddings", "E.npy", "--labels", "z.csv", "--write-run", "o.trec")

    assert "one ground truth" in two
    assert "'item 0'" in blanks
    assert not Path("o.trec").exists()
