"""What a faiss factory string asks for, read without faiss: its main index, and what finds its lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cbir_bench.core.errors import SettingError

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Space

_REFINE: Final = re.compile(r"(?P<first>.+),(RFlat|Refine(Panorama)?\(.+\))")
_ID_MAP: Final = re.compile(r"(^IDMap2?,)|(,IDMap2?$)")
_NESTED: Final = re.compile(r"(?P<lists>IVF\d+[kM]?)\((?P<coarse>.+)\)")
_GRAPH: Final = re.compile(r"(?P<lists>IVF\d+[kM]?)_(?P<coarse>(HNSW|NSG)\d*)")

_DISTANCE_ONLY: Final = re.compile(
    r"LSH|IMI|Residual|(^|,)PCA|ITQ|,SH|PQ\d+\+\d+|(HNSW|NSG)\d*[,_]PQ|HNSW\d*[,_](2x)?\d+\+"
    r"|HNSW\d*[,_](RaBitQ|FlatPanorama)|FlatL2Panorama"
)
"""Kinds that faiss searches by Euclidean distance whatever it is asked for, and transforms that move
the origin, which changes every inner product."""
_DISTANCE_IF_EQUAL: Final = re.compile(r"RaBitQ|_N(?!none)")
"""Kinds made for Euclidean distance, as all that code norms are; it is taken where both orders are one."""
_REFUSED: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(^|,)Residual\d"), "codes vectors but cannot search them by itself"),
    (re.compile(r"(^|,)(RCQ|LSCQ)\d"), "holds centres and no items: it only finds lists"),
    (re.compile(r"(^|,)MinMax"), "codes vectors but keeps none"),
    (re.compile(r"ZnLattice"), "does not write its codes when it is saved"),
    (re.compile(r"(^|,)SQ0"), "keeps nothing of a vector"),
)
"""What ``index_factory`` makes although it is no index of a base, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Factory:
    """The parts of a factory string that decide which options it has.

    Attributes:
        text: the whole string.
        refines: whether a second index scores the first one's candidates again.
        main: the first index, without what stands in parentheses ("OPQ8,IVF64,PQ8").
        coarse: what finds the lists of an inverted file: "Flat", "HNSW32", "IMI", or a factory string
            of its own; empty if there are no lists.
    """

    text: str
    refines: bool
    main: str
    coarse: str

    def by_distance(self, space: Space) -> bool:
        """Return whether the space is searched by Euclidean distance; unit rows allow both."""
        if space == "cosine" and _DISTANCE_IF_EQUAL.search(self.main):
            return True
        return space == "l2" or _DISTANCE_ONLY.search(self.text) is not None


def parsed(text: str) -> Factory:
    """Return the parts of a factory string; one that faiss does not know has some, too."""
    main, refines = _ID_MAP.sub("", text), False
    while match := _REFINE.fullmatch(main):
        main, refines = match["first"], True
    for pattern in (_NESTED, _GRAPH):
        if match := pattern.search(main):
            rest = main[: match.start()] + match["lists"] + main[match.end() :]
            return Factory(text=text, refines=refines, main=rest, coarse=match["coarse"])
    coarse = "IMI" if "IMI" in main else "Flat" if "IVF" in main else ""
    return Factory(text=text, refines=refines, main=main, coarse=coarse)


def check_space(factory: Factory, space: Space) -> None:
    """Refuse what is no index of a base, and spaces whose neighbours an index would not find.

    Raises:
        SettingError: naming the factory string, and what to use instead.
    """
    for pattern, reason in _REFUSED:
        if pattern.search(factory.main):
            raise SettingError(
                f"faiss's factory = {factory.text!r} {reason}. Use another factory string."
            )
    if space == "ip" and factory.by_distance(space):
        raise SettingError(
            f"faiss searches factory = {factory.text!r} by Euclidean distance only, but the "
            'space is "ip". Use the space "cosine" or "l2", or another factory string.'
        )
    if space == "cosine" and "SQ8_direct" in factory.text:
        raise SettingError(
            f"faiss's factory = {factory.text!r} keeps whole numbers only, and vectors of length 1 "
            'have none. Use "SQ8", or the space "l2" with vectors of whole numbers.'
        )
    if space != "cosine" and re.search(r"(^|,)L2[nN]orm,", factory.text):
        raise SettingError(
            f"faiss's factory = {factory.text!r} scales vectors to length 1, which is another order "
            f'than the space "{space}". Use the space "cosine", or leave out L2norm.'
        )


Where = Literal["main", "coarse", "both", "refine"]
NEEDS: Final[dict[str, tuple[Where, re.Pattern[str], str]]] = {
    "nprobe": ("main", re.compile(r"IVF|IMI"), "IVF or IMI"),
    "max_codes": ("main", re.compile(r"^(?!.*fs)(.*,)?(IVF|IMI)"), "IVF or IMI without x4fs"),
    "ensure_topk_full": (
        "main",
        re.compile(r"^(?!.*fs)(.*,)?(IVF|IMI)"),
        "IVF or IMI without x4fs",
    ),
    "train_iterations": ("main", re.compile(r"IVF"), "IVF"),
    "train_points_per_list": ("main", re.compile(r"IVF"), "IVF"),
    "seed": ("main", re.compile(r"IVF"), "IVF"),
    "quantizer_ef_search": ("coarse", re.compile(r"HNSW"), "IVF..._HNSW"),
    "quantizer_search_length": ("coarse", re.compile(r"NSG"), "IVF..._NSG"),
    "quantizer_nprobe": ("coarse", re.compile(r"IVF\d"), "IVF...(IVF...)"),
    "quantizer_k_factor": ("coarse", re.compile(r"RFlat|Refine"), "IVF...(...,RFlat)"),
    "quantizer_beam_factor": ("coarse", re.compile(r"RCQ"), "IVF...(RCQ...)"),
    "ef_search": ("main", re.compile(r"(^|,)HNSW"), "HNSW"),
    "check_relative_distance": ("main", re.compile(r"(^|,)HNSW"), "HNSW"),
    "bounded_queue": ("main", re.compile(r"(^|,)HNSW"), "HNSW"),
    "ef_construction": ("both", re.compile(r"HNSW"), "HNSW"),
    "k_factor": ("refine", re.compile(r"PQ\d+\+\d+"), "Refine"),
    "polysemous_ht": (
        "main",
        re.compile(r"^(?!.*(HNSW|NSG)).*(?<![^,])PQ\d+(x8)?$"),
        "PQ with 8 bits",
    ),
    "pq_comparison": (
        "main",
        re.compile(r"^(?!.*(IVF|IMI|HNSW|NSG)).*(?<![^,])PQ\d+(x8)?(np)?$"),
        "PQ with 8 bits",
    ),
    "scan_table_threshold": ("main", re.compile(r"(IVF|IMI)[^,]*,PQ\d+(x\d+)?(np)?$"), "IVF...,PQ"),
    "query_bits": ("main", re.compile(r"RaBitQ"), "RaBitQ"),
    "centered": ("main", re.compile(r"RaBitQ"), "RaBitQ"),
    "search_length": ("main", re.compile(r"(^|,)NSG"), "NSG"),
}
"""Where an option acts, and the part of the factory string without which it does nothing there."""


def has(factory: Factory, option: str) -> bool:
    """Return whether an option can change anything."""
    where, pattern, _ = NEEDS[option]
    if where == "refine" and factory.refines:
        return True
    texts = {"coarse": [factory.coarse], "both": [factory.main, factory.coarse]}
    return any(pattern.search(text) for text in texts.get(where, [factory.main]))
