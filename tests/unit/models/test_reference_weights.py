"""The real MobileNetV2 weights on real photos give the published reference."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.model import Learned
from cbir_bench.models.timm_backbone import TimmModel


def decoded(archive, names):
    """Yield the photos in batches."""
    for start in range(0, len(names), 32):
        files = [io.BytesIO(archive.read(name)) for name in names[start : start + 32]]
        yield [np.asarray(Image.open(file).convert("RGB")) for file in files]


def full_base(vectors, labels):
    """Return mean AP and hit rate at 1, leaving each query out of its own ranking."""
    similarity = vectors.astype(float) @ vectors.T.astype(float)
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :-1]
    hits = labels[order] == labels[:, None]
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return ((precision * hits).sum(axis=1) / hits.sum(axis=1)).mean(), hits[:, 0].mean()


def test_mobilenet_on_every_fifth_clothing_photo(real_data) -> None:
    """mAP .405 and hit rate .691: wrong preprocessing of any kind costs more than the tolerance."""
    context = DataContext(folders=(real_data,), cache=real_data)
    model = TimmModel(
        backbone="mobilenetv2_100", weights="weights/mobilenetv2_100.safetensors", device="cpu"
    )
    with zipfile.ZipFile(real_data / "clothing160.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::5]
        labels = np.unique([name.split("/")[-2] for name in names], return_inverse=True)[1]

        embedder = model.embedder(context, Learned())
        batches = embedder.embed(map(embedder.prepare, decoded(archive, names)))
        mean_ap, hit_rate = full_base(np.concatenate(list(batches)), labels)

    assert len(names) == 757
    np.testing.assert_allclose([mean_ap, hit_rate], [0.405, 0.691], atol=0.002)
