"""Who is a query, who is the base, and who is relevant to whom."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cbir_bench.protocols.full_base import FullBase
from cbir_bench.protocols.query_set import QuerySet
from cbir_bench.protocols.text_query import TextQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cbir_bench.protocols.protocol import Protocol

PROTOCOLS: Final[Mapping[str, type[Protocol]]] = MappingProxyType(
    {"query-set": QuerySet, "full-base": FullBase, "text-query": TextQuery}
)
"""By name. A protocol decides what all numbers of a run mean, so these are no plug-ins."""
