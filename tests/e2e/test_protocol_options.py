"""Options of protocols reach every index: junk is removed from all rankings alike."""

from __future__ import annotations

import json
import pickle

import pytest
from e2e.tiny import cbir_bench

MODELS = """
[[model]]
use = "pixels"
[[index]]
use = "exact"
[[index]]
use = "hnswlib"
ef_search = 64
[[index]]
use = "faiss"
factory = "Flat"
[search]
k = {k}
[measure]
n_latency_queries = 4
n_passes = 1
n_warmup = 1
"""
CSV = """
name = "options"
metrics = ["map_at_r", "ap@10", "hit_rate@1", "precision@5", "ndcg@10"]
[[dataset]]
use = "csv"
table = "photos/list.csv"
coarse_column = "kind"
camera_column = "camera"
group_column = "shot"
label_separator = "+"
[[protocol]]
use = "query-set"
labels = ["fine", "coarse"]
same_camera = ["exclude", "keep"]
[[protocol]]
use = "full-base"
near_duplicates = "exclude"
graded = true
"""
REVISITED = """
name = "options"
metrics = ["map_at_r", "ap@10", "hit_rate@1", "precision@5"]
[[dataset]]
use = "revisited_oxford_paris"
distractors = "more"
[[protocol]]
use = "query-set"
difficulty = ["easy", "medium", "hard"]
"""


def quality(place, suite: str, k: int) -> dict[str, dict[str, dict[str, float | None]]]:
    """Run a suite and return the means of every index by protocol."""
    (place / "s.toml").write_text(suite + MODELS.format(k=k))
    ran = cbir_bench(place, "run", "s.toml", "--no-report")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for path in (place / "results/options/records").glob("*.json"):
        record = json.loads(path.read_text())
        assert record["status"] == "ok", record["reason"]
        means = {name: value["mean"] for name, value in record["metrics"].items()}
        found.setdefault(record["labels"]["protocol"], {})[record["labels"]["index"]] = means
    return found


def assert_alike(found) -> None:
    """Fail unless every index that finds all has every number of the exact one."""
    for protocol, indexes in found.items():
        assert len(indexes) == 3
        exact = indexes.pop("exact")
        assert None not in exact.values(), protocol
        for index, means in indexes.items():
            assert means == pytest.approx(exact, abs=1e-9), (protocol, index)


def test_cameras_groups_grades_and_coarse_labels(place):
    """Five truths in one run, each the same for all indexes."""
    rows = [
        f"class{c}/{i}.png,{c}+{'odd' if i % 2 else 'even'},{c // 3},{i % 3},{c if i < 2 else ''}"
        for c in range(6)
        for i in range(6)
    ]
    text = "\n".join(["path,label,kind,camera,shot", *rows])
    (place / "photos/list.csv").write_text(f"{text}\n")

    found = quality(place, CSV, k=30)

    assert len(found) == 5
    coarse = [name for name in found if "coarse" in name]
    assert len(coarse) == 2
    assert found[coarse[0]]["exact"] != found[coarse[0].replace("coarse", "fine")]["exact"]
    assert_alike(found)


def test_revisited_oxford_with_distractors(place):
    """Easy, Medium and Hard of one replica: three numbers that differ, for every index the same."""
    (place / "roxford5k/jpg").mkdir(parents=True)
    (place / "more").mkdir()
    base, queries = [], []
    for c in range(6):
        for i in range(6):
            photo = place / f"photos/class{c}/{i}.png"
            names = queries if i == 0 and c < 3 else base
            if c == 5:
                photo.rename(place / f"more/{i}.png")
                continue
            names.append(f"class{c}_{i}")
            photo.rename(place / f"roxford5k/jpg/class{c}_{i}.jpg")
    judged = [
        {
            "bbx": [2.0, 2.0, 46.0, 38.0],
            "easy": [base.index(f"class{c}_{i}") for i in (1, 2)],
            "hard": [base.index(f"class{c}_3"), base.index(f"class{c + 1}_4")],
            "junk": [base.index(f"class{c}_{i}") for i in (4, 5)],
        }
        for c in range(3)
    ]
    table = {"imlist": base, "qimlist": queries, "gnd": judged}
    (place / "roxford5k/gnd_roxford5k.pkl").write_bytes(pickle.dumps(table, protocol=2))

    found = quality(place, REVISITED, k=33)

    ap = {name: means["exact"]["ap@10"] for name, means in found.items()}
    assert len(set(ap.values())) == 3
    assert ap["query-set(difficulty=easy)"] > ap["query-set(difficulty=medium)"]
    assert ap["query-set(difficulty=medium)"] > ap["query-set(difficulty=hard)"]
    assert_alike(found)
