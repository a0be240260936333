"""Colours: light and dark, readable for the colour-blind and in grey print.

Sequential scales run in lightness only one way, so grey print keeps their order. The diverging
scale goes from orange to blue, which no common kind of colour blindness confuses; negative
cells also bear a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tracr_lite.visualize.errors import VisualizeError

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Theme:
    """The colours of a picture.

    **Arguments:** `scale`: from zero to the largest value; `negative`: of the largest one
    below zero.
    """

    name: str
    paper: str
    ink: str
    soft: str  # of what matters less
    line: str
    panel: str  # behind what belongs together
    accent: str
    wrong: str
    scale: tuple[str, ...]
    negative: str

    def colors(self, values: Any, limit: float) -> Any:
        """An RGB array for values from -limit to limit."""
        import numpy as np
        from matplotlib.colors import LinearSegmentedColormap, to_rgb

        share = np.clip(np.nan_to_num(np.asarray(values, float)) / (limit or 1.0), -1.0, 1.0)
        above = LinearSegmentedColormap.from_list("above", self.scale)
        below = LinearSegmentedColormap.from_list("below", [self.scale[0], self.negative])
        rgb = np.where(share[..., None] < 0, below(-share), above(share))[..., :3]
        rgb[np.isnan(np.asarray(values, float))] = to_rgb(self.panel)
        return rgb

    def ink_on(self, rgb: Any) -> str:
        """Black or white, whichever stands out from a colour more."""
        return "#000000" if luminance(rgb) > 0.179 else "#ffffff"


def luminance(rgb: Any) -> float:
    """Relative luminance of an sRGB colour, 0 to 1. Source: WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1a1c20",
    soft="#5b616b",
    line="#c9ced6",
    panel="#f1f3f6",
    accent="#0b57a4",
    wrong="#b3261e",
    scale=("#ffffff", "#d3e3f3", "#86b6dc", "#3a7fbd", "#0b3c73"),
    negative="#a34a00",
)
DARK = Theme(
    name="dark",
    paper="#15181d",
    ink="#eceff4",
    soft="#a9b1bd",
    line="#3d444f",
    panel="#20252d",
    accent="#7cc0ff",
    wrong="#ff9086",
    scale=("#15181d", "#17395c", "#2b6fa8", "#6fb3e6", "#e6f3ff"),
    negative="#ffa14d",
)


def theme_of(name: ThemeName | Theme) -> Theme:
    """**Raises:** `VisualizeError` for another name than `light` and `dark`."""
    if isinstance(name, Theme):
        return name
    themes = {"light": LIGHT, "dark": DARK}
    if name not in themes:
        raise VisualizeError(f"a theme is 'light' or 'dark'; got {name!r}")
    return themes[name]
