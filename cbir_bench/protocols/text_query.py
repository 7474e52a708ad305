"""A text asks for images: one query for each class, in words made of its name.

Zero-shot retrieval with a model of images and texts: Radford et al., "Learning Transferable Visual Models
From Natural Language Supervision", ICML 2021, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.dataset import FINE, LabelSets
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.ground_truth import GroundTruth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset

_PLACE: Final = "{}"


@dataclass(frozen=True, kw_only=True)
class TextQuery:
    """Each class of the test split is a query in words; all items of the test split are the base.

    An item is relevant to the name of each of its labels. Classes whose names read the same are one.
    Roles of the data set are not looked at. Needs a model with a text tower.

    Attributes:
        template: the text of a query, with {} once in the place of the class's name.
        separators: characters of class names that are read as spaces, as in "golden_delicious" or
            "fruit/apple"; "" to take names as they are.
        labels: which labels are asked for, where a data set has several kinds: "fine" for its own, or
            the name of others, as "coarse".
        graded: whether an item is the more relevant the fewer other labels it has (Jaccard overlap with
            the one that is asked for), instead of all alike that have it.
    """

    template: str = "a photo of a {}"
    separators: str = "_-/"
    labels: str = FINE
    graded: bool = False

    def __post_init__(self) -> None:
        if self.template.count(_PLACE) != 1:
            raise SettingError(
                f"The template {self.template!r} has {self.template.count(_PLACE)} places for the name of "
                'a class. Write {} once, as in "a photo of a {}".'
            )

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """See ``protocols.protocol.Protocol``."""
        if dataset.judgements is not None:
            raise DataError(
                f"The relevant items of {dataset.name!r} are listed for its own queries, which are images, "
                'so that no text can ask for them. Use the protocol "query-set".'
            )
        base = self._in_words(dataset, rows)
        asked = np.unique(base.codes)
        names = [base.names[code] for code in asked]
        return GroundTruth(
            query_rows=np.arange(len(asked)),
            base_rows=np.arange(len(rows)),
            query_labels=LabelSets(
                names=base.names, codes=asked, starts=np.arange(len(asked) + 1, dtype=np.int64)
            ),
            base_labels=base,
            self_ids=np.full(len(asked), NO_ITEM, np.int64),
            graded=self.graded,
            query_texts=tuple(self.template.replace(_PLACE, name) for name in names),
        )

    def _in_words(self, dataset: Dataset, rows: NDArray[np.int64]) -> LabelSets:
        """Return the labels of some items with names that can be read.

        Raises:
            DataError: if nothing is left of a name.
        """
        labels = dataset.labels_called(self.labels).take(rows)
        for code in np.unique(labels.codes):
            if not self._words(labels.names[code]):
                raise DataError(
                    f"The label {labels.names[code]!r} of {dataset.name!r} is made of separators alone, so "
                    "there is no word to ask for. Give the class a name, or set fewer separators."
                )
        return labels.renamed(self._words)

    def _words(self, name: str) -> str:
        spaces = str.maketrans(dict.fromkeys(self.separators, " "))
        return " ".join(name.translate(spaces).split())
