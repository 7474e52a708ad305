"""Small data sets without pictures, for tests of protocols."""

from __future__ import annotations

import numpy as np

from cbir_bench.core.dataset import Dataset, LabelSets, Role, Split


class NoImages:
    """Protocols never look at pixels."""

    def read(self, rows):
        raise AssertionError("a protocol read an image")


def dataset(labels, roles=None, ids=None, splits=None, **more):
    """Return a data set with one item for each label or tuple of labels."""
    n = len(labels)
    return Dataset(
        name="shoes",
        ids=tuple(ids) if ids is not None else tuple(f"item {i}" for i in range(n)),
        labels=LabelSets.of(labels),
        splits=np.array(splits if splits is not None else [Split.TEST] * n, np.int8),
        roles=np.array(roles if roles is not None else [Role.ANY] * n, np.int8),
        images=NoImages(),
        content_hash="0",
        **more,
    )
