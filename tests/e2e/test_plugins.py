"""A package of somebody else adds components through entry points, and cannot break ours."""

from __future__ import annotations

import json
import subprocess

import pytest
from e2e.tiny import N_TRIALS, SUITE, command, environment

PLUGIN = '''
"""An index of somebody else: exact search over a list."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ListIndex:
    """Searches a list.

    Attributes:
        flavour: has no effect on the result.
    """

    SPACES: ClassVar = frozenset({"cosine"})
    SEARCH_PARAMS: ClassVar = frozenset()
    EFFORT: ClassVar = frozenset()
    REQUIRES: ClassVar = ()
    EXACT: ClassVar = True
    flavour: int = 1

    def check(self, *, k, n_base, dim, space):
        pass

    def repeats(self, n_threads):
        return True

    def build(self, base, space, n_threads):
        return np.array(base)

    def configure(self, handle, n_threads):
        pass

    def prepare(self, queries):
        return list(queries)

    def single(self, handle, k):
        return lambda query: np.argsort(-(handle @ query), kind="stable")[None, :k]

    def batch(self, handle, k):
        return None

    def unpack(self, raw, k):
        return np.asarray(raw, np.int64)

    def save(self, handle, folder):
        np.save(folder / "base.npy", handle)

    def load(self, folder, dim, space):
        return np.load(folder / "base.npy")

    def theoretical_bytes(self, n_base, dim):
        return None
'''


MODEL = '''
"""A model of somebody else that has gone wrong."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


class Broken:
    dim = 4

    def __init__(self, value):
        self.value = value

    @staticmethod
    def prepare(images):
        return images

    def embed(self, batches):
        for batch in batches:
            vectors = np.ones((len(batch), 4), np.float32)
            vectors[-1] = np.nan if self.value < 0 else self.value
            yield vectors


@dataclass(frozen=True, kw_only=True)
class BrokenModel:
    """Gives bad vectors.

    Attributes:
        value: of one vector in each batch; NaN below 0.
    """

    REQUIRES: ClassVar = ()
    TRAINABLE: ClassVar = False
    value: str = "0"

    def weights_hash(self, context):
        return "none"

    def embedder(self, context, learned):
        return Broken(float(self.value))

    def network(self, context):
        return None
'''


QUANTIZER = '''
"""A quantiser of somebody else that has gone wrong."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Lossy:
    """Keeps nothing."""

    REQUIRES: ClassVar = ()

    def check(self, *, n, dim):
        pass

    def fit(self, training):
        return None

    def encode(self, codebook, vectors):
        return np.zeros(vectors.shape, np.int8)

    def decode(self, codebook, codes):
        return codes.astype(np.float32)

    def bytes_per_vector(self, dim):
        return dim

    def codebook_bytes(self, codebook):
        return 0
'''


def install(folder, name, points, group="indexes"):
    """Put a distribution with entry points into a folder, as an installer would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cbir_bench.{group}]\n{points}\n")


def test_a_foreign_index_runs_and_a_broken_one_is_named_and_skipped(place):
    """Without a change of any file of ours."""
    site = place / "site"
    install(site, "list-index", "list = list_index:ListIndex")
    install(site, "broken-index", "broken = no_such_module:Nothing")
    (site / "list_index.py").write_text(PLUGIN)
    suite = SUITE.replace('[[index]]\nuse = "exact"', '[[index]]\nuse = "list"\nflavour = [1, 2]')
    (place / "tiny.toml").write_text(suite)

    actual = run_with(site, place)

    found = [json.loads(p.read_text()) for p in (place / "results/tiny/records").glob("*.json")]
    foreign = [r for r in found if r["trial"]["index"]["use"] == "list"]
    assert actual.returncode == 0, actual.stderr
    assert "'broken' of broken-index could not be loaded and is left out" in actual.stderr
    assert len(foreign) == 16
    assert {r["status"] for r in foreign} == {"ok"}
    assert all(
        r["metrics"]["ap"]["mean"] > 0 for r in foreign if r["trial"]["reranker"]["use"] == "none"
    )


def run_with(site, place):
    """Run the tiny suite with the plug-ins of a folder."""
    return subprocess.run(
        command("run", "tiny.toml", "--no-report"),
        cwd=place,
        env={**environment(place), "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_index_that_kills_its_process_becomes_records_and_the_sweep_goes_on(place):
    """One bad library must not cost the measurements of all others."""
    site = place / "site"
    install(site, "crashing", "crashing = crashing:ListIndex")
    (site / "crashing.py").write_text(
        PLUGIN.replace("return np.array(base)", "import os, sys; print('so sorry'); os.abort()")
    )
    (place / "tiny.toml").write_text(
        SUITE.replace('[[index]]\nuse = "exact"', '[[index]]\nuse = "crashing"')
    )

    actual = run_with(site, place)

    found = [json.loads(p.read_text()) for p in (place / "results/tiny/records").glob("*.json")]
    crashed = [r for r in found if r["trial"]["index"]["use"] == "crashing"]
    assert actual.returncode == 0, actual.stderr
    assert {r["status"] for r in crashed} == {"crashed"}
    assert all("SIGABRT" in r["reason"] and "so sorry" in r["log_tail"] for r in crashed)
    assert {r["status"] for r in found if r not in crashed} == {"ok"}
    assert len(found) == 32
    assert "8 trials have no result" in actual.stdout


@pytest.mark.parametrize(("value", "words"), [("-1.0", "NaN or infinity"), ("0.0", "only zeros")])
def test_bad_vectors_are_the_reason_of_their_trials_and_name_the_images(place, value, words):
    """A search over NaN would give numbers that mean nothing; the other model is measured."""
    site = place / "site"
    install(site, "broken-model", "gone-wrong = gone_wrong:BrokenModel", group="models")
    (site / "gone_wrong.py").write_text(MODEL)
    suite = SUITE.replace('use = "pixels"', f'use = "gone-wrong"\nvalue = "{value}"')
    (place / "tiny.toml").write_text(suite)

    actual = run_with(site, place)

    assert actual.returncode == 0
    assert f"{N_TRIALS // 2} trials have no result" in actual.stdout
    assert words in actual.stdout
    assert "'class5/5.png'" in actual.stdout
    assert "Traceback" not in actual.stderr


@pytest.mark.parametrize(("value", "words"), [("-1.0", "NaN or infinity"), ("0.0", "only zeros")])
def test_bad_vectors_of_the_only_model_stop_the_run(place, value, words):
    """There is nothing left to measure."""
    site = place / "site"
    install(site, "broken-model", "gone-wrong = gone_wrong:BrokenModel", group="models")
    (site / "gone_wrong.py").write_text(MODEL)
    suite = SUITE.replace('[[model]]\nuse = "colour_histogram"\n', "")
    suite = suite.replace('use = "pixels"', f'use = "gone-wrong"\nvalue = "{value}"')
    (place / "tiny.toml").write_text(suite)

    actual = run_with(site, place)

    assert actual.returncode == 2
    assert words in actual.stderr
    assert "'class5/5.png'" in actual.stderr
    assert "Traceback" not in actual.stderr


def test_a_quantizer_whose_vectors_cannot_be_searched_becomes_records(place):
    """It would search for NaN, or cost the measurements of all others."""
    site = place / "site"
    install(site, "lossy", "lossy = lossy:Lossy", group="quantizers")
    (site / "lossy.py").write_text(QUANTIZER)
    (place / "tiny.toml").write_text(
        f'{SUITE}\n[[quantizer]]\nuse = "lossy"\n[[quantizer]]\nuse = "none"\n'
    )

    actual = run_with(site, place)

    found = [json.loads(p.read_text()) for p in (place / "results/tiny/records").glob("*.json")]
    lossy = [r for r in found if r["trial"]["quantizer"]["use"] == "lossy"]
    assert actual.returncode == 0, actual.stderr
    assert len(lossy) == 32
    assert {r["status"] for r in lossy} == {"failed"}
    assert all("lossy turns" in r["reason"] and "into zeros" in r["reason"] for r in lossy)
    assert {r["status"] for r in found if r not in lossy} == {"ok"}
