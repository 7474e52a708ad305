"""Making what is missing: train, fit, freeze, transform; each once, and resumed where it was stopped."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import as_matrix
from cbir_bench.core.component import create
from cbir_bench.core.dataset import LabelSets, Split
from cbir_bench.core.errors import DataError, InvalidArrayError, MissingPackageError
from cbir_bench.core.hashing import key_of
from cbir_bench.core.model import FittedModel, GivenVectors, Learned, TextModel
from cbir_bench.core.registry import MODELS, TRANSFORMS
from cbir_bench.core.training_data import TrainingData
from cbir_bench.embeddings.freeze import Readers, freeze
from cbir_bench.embeddings.store import EmbeddingStore
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.protocols.truth import leave_one_out
from cbir_bench.run.learned import LearnedStore
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.store import CheckpointStore
from cbir_bench.training.trainer import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.embeddings import Embeddings
    from cbir_bench.core.model import Embedder, Model
    from cbir_bench.run.artefacts import Artefact
    from cbir_bench.run.places import Places
    from cbir_bench.run.progress import Progress

_VALIDATION_METRICS: Final = ("map_at_r", "hit_rate@1")
"""What held-out classes are scored by while training; the first one decides which weights are best."""


class Maker:
    """Makes weights and vectors that are missing, and finds those that are there.

    Args:
        places: where they are kept.
        progress: told about everything that takes time.
        readers: who reads and prepares images.
        batch_size: images per call of a model.
    """

    def __init__(
        self,
        places: Places,
        progress: Progress,
        readers: Readers | None = None,
        batch_size: int = 64,
    ) -> None:
        self._context, self._progress = places.context, progress
        self._readers, self._batch_size = readers or Readers(), batch_size
        self.embeddings_store = EmbeddingStore(places.embeddings)
        self.weights_store = CheckpointStore(places.weights)
        self.learned_store = LearnedStore(places.learned)

    def embeddings(self, artefact: Artefact) -> Embeddings:
        """Return frozen vectors, made first where they are not there. Damaged ones are refused.

        Raises:
            CbirBenchError: if a model cannot be trained, loaded, or gives vectors that cannot be used.
        """
        if not self.has(artefact):
            if artefact.source is not None:
                self._transform(artefact, artefact.source)
            else:
                with _told_what_is_missing(artefact):
                    self._freeze(artefact)
        return self.embeddings_store.load(artefact.key)

    def has(self, artefact: Artefact) -> bool:
        """Whether the frozen vectors are there; whether they are whole is found out by ``embeddings``."""
        return self.embeddings_store.has(artefact.key)

    def texts(self, artefact: Artefact, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of texts under the same model and transform.

        Raises:
            CbirBenchError: as ``embeddings``; also for a model that takes no texts.
        """
        key = artefact.texts_key(texts)
        if not self.embeddings_store.has(key):
            model = text_model(artefact)
            self._progress.stage(f"embed texts {artefact.model}", len(texts))
            with _told_what_is_missing(artefact):
                vectors = as_matrix(
                    model.embed_texts(self._context, texts), f"vectors of texts of {artefact.model}"
                )
            if artefact.source is not None:
                transform = create(TRANSFORMS, artefact.transform.use, artefact.transform.values)
                vectors = transform.apply(vectors, self._transform_learned(artefact))
            self._check(artefact, vectors, texts)
            rows = np.arange(len(texts), dtype=np.int64)
            origin = {"texts": list(texts), "beside": artefact.key}
            self.embeddings_store.save(key, vectors, rows, origin)
        return self.embeddings_store.load(key)

    def checkpoint(self, artefact: Artefact) -> Path | None:
        """Return the trained weights, trained first where they are not there; None if nothing is trained.

        Raises:
            CbirBenchError: if the model cannot be trained.
        """
        key = artefact.checkpoint_key
        if key is None or artefact.training is None or artefact.training_origin is None:
            return None
        store = self.weights_store
        saved = store.root / f".{key}.partial"
        if store.has(key):
            saved.unlink(missing_ok=True)  # of a training that was killed after another had ended
            return store.checkpoint(key)
        recipe = TrainingRecipe(**artefact.training.values)
        with _told_what_is_missing(artefact):
            network = _component(artefact).network(self._context)
            data = TrainingData.of(artefact.data)
            log = train(
                network,
                data,
                recipe,
                _TrainingReporter(self._progress, str(artefact.model)),
                score=held_out_scores,
                saved=saved,
            )
        path = store.save(key, network, log, artefact.training_origin)
        saved.unlink(missing_ok=True)
        return path

    def embedder(self, artefact: Artefact) -> Embedder:
        """Return the model with all that it has learnt in place."""
        model = _component(artefact)
        trained = self.checkpoint(artefact)
        fitted = self._fitted(artefact, model, trained)
        return model.embedder(self._context, Learned(trained=trained, fitted=fitted))

    def _fitted(self, artefact: Artefact, model: Model, trained: Path | None) -> Path | None:
        """Return what the model learns without gradients, learnt first where it is not there."""
        key = artefact.fit_key
        if key is None or artefact.fit_origin is None or not isinstance(model, FittedModel):
            return None
        if self.learned_store.has(key):
            return self.learned_store.path(key)
        data = TrainingData.of(artefact.data)
        step = self._stage(f"fit {artefact.model}", len(data.rows(Split.TRAIN)))
        began = time.perf_counter()
        arrays = model.fit(self._context, trained, data, step)
        seconds = round(time.perf_counter() - began, 3)
        made_from = {**artefact.fit_origin, "fit_seconds": seconds}
        return self.learned_store.save(key, arrays, made_from)

    def _freeze(self, artefact: Artefact) -> None:
        items = artefact.items
        rows = items.rows(artefact.split)
        model = _component(artefact)
        if isinstance(model, GivenVectors):
            ids = [items.ids[row] for row in rows]
            vectors = model.vectors(self._context, ids, test=artefact.split is Split.TEST)
            self._save(artefact, vectors, rows, {})
            return
        embedder = self.embedder(artefact)
        part = "" if artefact.split is Split.TEST else " (training split)"
        freeze(
            self.embeddings_store,
            artefact.key,
            items,
            embedder,
            rows,
            {**artefact.origin, **_size(embedder)},
            batch_size=self._batch_size,
            readers=self._readers,
            progress=self._stage(f"freeze {artefact.model}{part}", len(rows)),
        )

    def _transform(self, artefact: Artefact, source: Artefact) -> None:
        plain = self.embeddings(source)
        transform = create(TRANSFORMS, artefact.transform.use, artefact.transform.values)
        learned = self._transform_learned(artefact)
        self._progress.stage(f"transform {artefact.model} by {artefact.transform}", 1)
        began = time.perf_counter()
        vectors = transform.apply(plain.vectors, learned)
        seconds = round(time.perf_counter() - began, 3)
        self._save(artefact, vectors, plain.rows, {"transform_seconds": seconds})

    def _transform_learned(self, artefact: Artefact) -> Mapping[str, NDArray[np.generic]]:
        """Return what the transform learns from the training split, learnt first where it is not there."""
        if artefact.teacher is None:
            return {}
        origin = {
            "transform": artefact.transform.to_json(),
            "teacher": artefact.teacher.key,
            "versions": artefact.origin["versions"],
            "transform_version": artefact.origin["transform_version"],
        }
        key = key_of(origin)
        if not self.learned_store.has(key):
            transform = create(TRANSFORMS, artefact.transform.use, artefact.transform.values)
            arrays = transform.fit(self.embeddings(artefact.teacher).vectors)
            self.learned_store.save(key, arrays, origin)
        return self.learned_store.arrays(key)

    def _save(
        self,
        artefact: Artefact,
        vectors: Matrix,
        rows: NDArray[np.int64],
        more: Mapping[str, Any],
    ) -> None:
        """Keep vectors that are not computed image by image, after the checks that freezing makes."""
        items = artefact.items
        self._check(artefact, vectors, [items.ids[row] for row in rows])
        made_from = {**artefact.origin, "dim": vectors.shape[1], **more}
        self.embeddings_store.save(artefact.key, vectors, rows, made_from)

    @staticmethod
    def _check(artefact: Artefact, vectors: Matrix, names: Sequence[str]) -> None:
        """Refuse vectors that cannot be compared with others, naming the first of them."""
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        bad = ~np.isfinite(squares) | (squares == 0)
        if bad.any():
            raise InvalidArrayError(
                f"{artefact.model} with the transform {artefact.transform} gives zeros, NaN or infinity for "
                f"{int(bad.sum())} of {len(bad)} items, the first is {names[int(bad.argmax())]!r}. Choose "
                "other options."
            )

    def _stage(self, name: str, total: int) -> Callable[[int, int], None]:
        """Begin a stage whose steps are images, and return what tells how far it is."""
        self._progress.stage(name, total)
        return _Throughput(self._progress)


class _Throughput:
    """Tells a stage's images and how many there are in a second."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._began, self._first = time.perf_counter(), -1

    def __call__(self, n_done: int, n_total: int) -> None:  # noqa: ARG002  the stage knows it
        """Take note of how many images are done."""
        if self._first < 0:  # what an earlier run had done counts for nothing
            self._began, self._first = time.perf_counter(), n_done
        seconds = time.perf_counter() - self._began
        rate = (n_done - self._first) / seconds if seconds > 0 else 0.0
        self._progress.step(n_done, f"{rate:,.0f} images/s" if rate else "")


class _TrainingReporter:
    """Turns what the trainer tells into stages and steps."""

    _WHAT: Final = {"images": "read images for", "steps": "train"}

    def __init__(self, progress: Progress, model: str) -> None:
        self._progress, self._model = progress, model
        self._phase = ""

    def __call__(self, phase: str, n_done: int, n_total: int, loss: float, note: str = "") -> None:
        """Take note of a batch of images read, or of a training step."""
        if phase != self._phase:
            self._phase = phase
            self._progress.stage(f"{self._WHAT.get(phase, phase)} {self._model}", n_total)
        parts = [] if math.isnan(loss) else [f"loss {loss:.3f}"]
        self._progress.step(n_done, ", ".join([*parts, *([note] if note else [])]))


def held_out_scores(vectors: Matrix, classes: NDArray[np.int64]) -> dict[str, float]:
    """Return how well vectors find others of their class among all of them, by our own metrics.

    Args:
        vectors: ``(n, dim)`` float32.
        classes: ``(n,)`` from 0.
    """
    names = tuple(str(i) for i in range(int(classes.max(initial=-1)) + 1))
    starts = np.arange(len(classes) + 1, dtype=np.int64)
    truth = leave_one_out(LabelSets(names=names, codes=classes, starts=starts))
    similarities = Similarities(queries=vectors, base=vectors, space="cosine")
    found = complete_quotients(_VALIDATION_METRICS, similarities, truth)
    return {name: float(np.nanmean(found[name].scores)) for name in _VALIDATION_METRICS}


def text_model(artefact: Artefact) -> TextModel:
    """Return the model as one that takes texts.

    Raises:
        DataError: if it takes none.
    """
    model = _component(artefact)
    if not isinstance(model, TextModel):
        raise DataError(
            f"The model {artefact.model} takes no texts. Choose one with a text tower (open_clip), "
            "or another protocol."
        )
    return model


@contextmanager
def _told_what_is_missing(artefact: Artefact) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"The model {artefact.model}", error.name or "?") from error


def _component(artefact: Artefact) -> Model:
    return create(MODELS, artefact.model.use, artefact.model.values)


def _size(embedder: Embedder) -> dict[str, Any]:
    """Return the number of parameters and the device of a network; nothing for other models."""
    network = getattr(embedder, "network", None)
    if network is None or not hasattr(network, "parameters"):
        return {}
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"n_parameters": n_parameters, "device": str(getattr(network, "device", "cpu"))}
