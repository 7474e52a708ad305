"""What training buys: trained models against the same ones untrained, fine-tuned ones against frozen ones.

    python benchmarks/bench_models.py products                   # of the suite `models`: 12 ResNets, CGD, BDB
    python benchmarks/bench_models.py photos --data-dir FOLDER   # of the suite `grocery-models`

The first prints, for every ResNet of the suite, mAP on held-out classes, that of the untrained model with the
same pooling and head, their ratio (aim: at least 15) and the CPU seconds of training (aim: at most 70). The
second prints mAP of every frozen and fine-tuned MobileNetV2, and the gain over the best frozen one with the
same pooling, at any size (aim: at least 0.15). With --cache what a run of the suite has made is used again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from cbir_bench.core.component import create, describe, setting_of
from cbir_bench.core.registry import MODELS
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.protocols.truth import leave_one_out
from cbir_bench.run.artefacts import Subject, artefact_of
from cbir_bench.run.freezing import artefacts_of_suite
from cbir_bench.run.making import Maker
from cbir_bench.run.places import Places
from cbir_bench.run.progress import PlainProgress
from cbir_bench.run.shipped import find_suite
from cbir_bench.run.suite import read_suite


def mean_ap(maker, artefact):
    """Return mAP of the test split, every image a query against all others."""
    frozen = maker.embeddings(artefact)
    truth = leave_one_out(artefact.data.labels.take(frozen.rows))
    similarities = Similarities(queries=frozen.vectors, base=frozen.vectors, space="cosine")
    return float(np.nanmean(complete_quotients(("ap",), similarities, truth)["ap"].scores))


def untrained(artefact, places):
    """Return the artefact of the same model with its first weights."""
    model = create(MODELS, artefact.model.use, {**artefact.model.values, "weights": "random"})
    setting = setting_of(artefact.model.use, model, describe(artefact.model.use, model))
    return artefact_of(Subject(artefact.dataset, artefact.data, setting), places)


def products(artefacts, maker, places):
    """Print what training from scratch makes of every ResNet."""
    print(f"{'model':<48}{'mAP':>8}{'untrained':>11}{'ratio':>8}{'CPU s':>8}")
    ratios, seconds = [], []
    for artefact in artefacts:
        if artefact.training is None or artefact.model.values["backbone"] != "test_resnet":
            continue
        trained, before = mean_ap(maker, artefact), mean_ap(maker, untrained(artefact, places))
        log = maker.weights_store.log(artefact.checkpoint_key)
        ratios.append(trained / before)
        seconds.append(log.cpu_seconds)
        print(
            f"{artefact.model!s:<48}{trained:8.3f}{before:11.3f}{ratios[-1]:8.1f}{seconds[-1]:8.1f}"
        )
    print(f"least ratio {min(ratios):.1f} (aim 15), most CPU seconds {max(seconds):.1f} (aim 70)")


def photos(artefacts, maker):
    """Print what fine-tuning makes of pretrained weights."""
    scores = {a: mean_ap(maker, a) for a in artefacts if a.model.use == "timm"}
    frozen = {}
    for artefact, score in scores.items():
        if artefact.training is None:
            pooling = artefact.model.values["pooling"]
            frozen[pooling] = max(frozen.get(pooling, 0.0), score)
    print(f"{'model':<60}{'mAP':>8}{'gain':>8}{'CPU s':>8}")
    gains = []
    for artefact, score in scores.items():
        row = f"{artefact.model!s:<60}{score:8.3f}"
        if artefact.training is not None:
            gains.append(score - frozen[artefact.model.values["pooling"]])
            log = maker.weights_store.log(artefact.checkpoint_key)
            row += f"{gains[-1]:+8.3f}{log.cpu_seconds:8.1f}"
        print(row)
    print(f"gain of fine-tuning from {min(gains):+.3f} to {max(gains):+.3f} (aim +0.15)")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["products", "photos"])
    parser.add_argument("--suite", help="another suite [models; grocery-models]")
    parser.add_argument("--data-dir", type=Path, action="append", default=[])
    parser.add_argument("--cache", type=Path, help="where weights and embeddings are kept")
    options = parser.parse_args()
    path = find_suite(
        options.suite or {"products": "models", "photos": "grocery-models"}[options.what]
    )
    with tempfile.TemporaryDirectory() as folder, PlainProgress() as progress:
        places = Places.of(path, tuple(options.data_dir), options.cache or Path(folder))
        artefacts = artefacts_of_suite(read_suite(path), places)
        maker = Maker(places, progress)
        if options.what == "products":
            products(artefacts, maker, places)
        else:
            photos(artefacts, maker)


if __name__ == "__main__":
    main()
