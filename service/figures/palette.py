"""Colours that every renderer shares, light and dark.

Series take those of Okabe and Ito (https://jfly.uni-koeln.de/color), which stay apart under every
common colour blindness; marks differ by shape as well. Heat maps take cividis, and between two ends
Tol's BuRd (https://sronpersonalpages.nl/~pault).
"""

from dataclasses import dataclass
from typing import Literal

from service.figures.figure import Colour, Heat

ThemeName = Literal["light", "dark"]

_OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
MARKS = ("circle", "rect", "triangle", "diamond", "pin", "arrow", "roundRect")
"""By place in the palette, one more than colours, so that pairs repeat late."""

_CIVIDIS = ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838")
_BURD = (
    "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d",
    "#b2182b",
)  # fmt: skip
STOPS = 33
"""Of a colour scale; both renderers interpolate between them."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one theme."""

    name: ThemeName
    background: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]

    def colour(self, colour: Colour) -> str:
        """The colour of a series."""
        if colour == "ink":
            return self.ink
        if colour == "muted":
            return self.muted
        return self.series[colour % len(self.series)]


THEMES: dict[ThemeName, Theme] = {
    "light": Theme("light", "#ffffff", "#1a1a1a", "#767676", "#dddddd", (*_OKABE_ITO, "#b8a800")),
    "dark": Theme("dark", "#14171a", "#e8e8e8", "#9a9a9a", "#3a3a3a", (
        "#4aa3df", *_OKABE_ITO[1:], "#f0e442",
    )),
}  # fmt: skip
"""Blue is lightened on dark, yellow darkened on light, where they would not stand out."""


def mark(colour: Colour) -> str:
    """The shape of a series' marks."""
    return MARKS[0] if isinstance(colour, str) else MARKS[colour % len(MARKS)]


def stops(heat: Heat) -> tuple[str, ...]:
    """Colours at equal steps from the low to the high end of a heat map."""
    width = heat.high - heat.low
    found = []
    for step in range(STOPS):
        place = step / (STOPS - 1)
        if heat.middle is None:
            found.append(_between(_CIVIDIS, place))
            continue
        value, middle = heat.low + place * width, heat.middle
        side = middle - heat.low if value < middle else heat.high - middle
        found.append(_between(_BURD, 0.5 + 0.5 * (value - middle) / (side or 1.0)))
    return tuple(found)


def _between(colours: tuple[str, ...], place: float) -> str:
    """The colour at a place from 0 to 1, by linear interpolation."""
    at = min(max(place, 0.0), 1.0) * (len(colours) - 1)
    left = min(int(at), len(colours) - 2)
    first, second = (_parts(colours[left + more]) for more in (0, 1))
    mixed = (a + (at - left) * (b - a) for a, b in zip(first, second, strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
