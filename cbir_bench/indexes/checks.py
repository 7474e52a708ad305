"""Refusals that several libraries share."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cbir_bench.core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_k(library: str, k: int, n_base: int | None) -> None:
    """Refuse to ask for more results than the base holds.

    Libraries answer that differently: faiss pads, hnswlib raises, the others return short lists.

    Raises:
        SettingError: if ``k`` is larger than ``n_base``, where that is known.
    """
    if n_base is not None and k > n_base:
        raise SettingError(
            f"{library} is asked for {k} results but the base has {n_base} items. "
            "Lower [search] k, or give more images (the query itself counts as one where it is in "
            "the base)."
        )


def check_beam(library: str, option: str, beam: int, k: int) -> None:
    """Refuse a search beam narrower than ``k``.

    Libraries silently search with the larger of the two, so that such settings would all be the
    same point of a sweep.

    Raises:
        SettingError: if ``beam`` is smaller than ``k``.
    """
    if beam < k:
        raise SettingError(
            f"{library} is asked for {k} results with {option} = {beam}. "
            f"Set {option} to {k} or more, or lower [search] k."
        )


def check_idle(library: str, component: Any, idle: Mapping[str, str]) -> None:
    """Refuse options that do nothing in this component, unless they have their default value.

    A sweep over one would otherwise measure the same point several times and look like a library
    without effect.

    Args:
        library: its name, for the message.
        component: the index.
        idle: for each option that does nothing, what it would need ("IVF in the factory string").

    Raises:
        SettingError: naming the first such option.
    """
    for option in fields(component):
        value = getattr(component, option.name)
        if option.name in idle and value != option.default:
            raise SettingError(
                f"{library} has {option.name} = {value}, which does nothing without "
                f"{idle[option.name]}. Leave out {option.name}."
            )


def check_build_beam(library: str, beam: int, option: str, links: int) -> None:
    """Refuse fewer candidates while a node is linked than it is to have links.

    Raises:
        SettingError: if ``beam`` is smaller than ``links``, the value of ``option``.
    """
    if beam < links:
        raise SettingError(
            f"{library} is to find {option} = {links} links per node among ef_construction = {beam} "
            f"candidates. Set ef_construction to {links} or more."
        )
