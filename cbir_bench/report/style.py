"""How plots look: a marker, a line and a colour per library, told apart in grey and by colour-blind eyes.

Colours: Okabe and Ito, Color universal design, 2008.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Dashes: TypeAlias = "str | tuple[int, tuple[float, ...]]"


@dataclass(frozen=True, slots=True)
class Mark:
    """How the points of a library are drawn.

    Attributes:
        colour: of lines and markers.
        text: the same, dark enough for text on white.
        marker: Matplotlib's name of the shape.
        dashes: Matplotlib's line style.
    """

    colour: str
    text: str
    marker: str
    dashes: Dashes


_KNOWN: Final = {
    "exact": Mark("#000000", "#000000", "*", "-"),
    "faiss": Mark("#0072B2", "#00568A", "o", "-"),
    "hnswlib": Mark("#D55E00", "#A84A00", "s", (0, (5, 1.5))),
    "annoy": Mark("#009E73", "#00704F", "^", (0, (5, 1.5, 1, 1.5))),
    "nmslib": Mark("#CC79A7", "#9C3F73", "D", (0, (1, 1.2))),
    "scann": Mark("#E69F00", "#8F6300", "v", (0, (5, 1, 1, 1, 1, 1))),
    # Families of quantisers, which share no plot with libraries.
    "float": Mark("#000000", "#000000", "*", "-"),
    "int": Mark("#0072B2", "#00568A", "o", "-"),
    "pq": Mark("#D55E00", "#A84A00", "s", (0, (5, 1.5))),
    "opq": Mark("#E69F00", "#8F6300", "D", (0, (5, 1.5, 1, 1.5))),
    "rabitq": Mark("#009E73", "#00704F", "^", (0, (8, 2))),
    "binary": Mark("#CC79A7", "#9C3F73", "v", (0, (1, 1.2))),
    "pca": Mark("#56B4E9", "#1F78AB", "P", (0, (5, 1, 1, 1, 1, 1))),
    "cut": Mark("#7F7F7F", "#5A5A5A", "X", (0, (3, 1, 1, 1))),
}
_OTHERS: Final = (
    Mark("#56B4E9", "#1F78AB", "P", (0, (8, 2))),
    Mark("#7F7F7F", "#5A5A5A", "X", (0, (3, 1, 1, 1))),
    Mark("#882255", "#882255", "h", (0, (2, 2))),
    Mark("#44AA99", "#2A7A6C", "<", (0, (6, 1, 2, 1))),
    Mark("#332288", "#332288", ">", (0, (1, 2.5))),
    Mark("#999933", "#6B6B1F", "p", (0, (4, 4))),
)
_SETTINGS: Final[dict[str, Any]] = {
    "svg.hashsalt": "cbir_bench",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 5,
    "path.simplify": False,
    "text.parse_math": False,
}


def marks_of(libraries: Iterable[str]) -> dict[str, Mark]:
    """Return the mark of each library; one that is new here gets the next of the spare marks."""
    names = sorted(set(libraries))
    new = [name for name in names if name not in _KNOWN]
    spare = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(new)}
    return {name: _KNOWN.get(name) or spare[name] for name in names}


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; both ends stay, since either may tell it apart."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


@lru_cache(maxsize=1024)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line in inches, at a font size in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    properties = FontProperties(family="DejaVu Sans", weight=weight)
    return float(TextPath((0, 0), text, prop=properties, size=size).get_extents().width) / 72


@contextmanager
def plotting() -> Iterator[None]:
    """Draw with these settings alone, whatever the user's own Matplotlib file says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield
