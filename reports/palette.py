"""Colours that tell backends apart for people who see colours differently, on paper and on a dark screen.

The hues are Okabe and Ito's, darkened for light backgrounds and lightened for dark ones until each stands
out from the page by 3:1 (WCAG 2.2, 1.4.11). A figure is drawn in the light ones; `DARK` says what becomes
of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

TEXT, MUTED, GRID, BAND, PAGE = "#1c2024", "#5b6670", "#dde2e7", "#e9edf1", "#ffffff"
_BACKENDS = (  # light, dark
    ("#0068a8", "#5cb0ee"),  # blue
    ("#c24f0a", "#f2914f"),  # vermilion
    ("#00775a", "#35c79f"),  # bluish green
    ("#a3467c", "#e293c1"),  # reddish purple
    ("#8c6400", "#e2b53d"),  # orange
    ("#1d7f9c", "#86d5ef"),  # sky blue
    ("#58606a", "#aeb7c1"),  # grey
    ("#6b6f00", "#d9dc4e"),  # yellow
)
DARK: Mapping[str, str] = {
    TEXT: "#e8ebee",
    MUTED: "#a3adb7",
    GRID: "#333a42",
    BAND: "#2a3037",
    PAGE: "#14171a",
    **dict(_BACKENDS),
}


def colours(backends: Iterable[str]) -> dict[str, str]:
    """Backend → colour. A name's colour is its own (from a hash) unless an earlier name took it.

    From the ninth backend on colours repeat: every mark also carries its name.
    """
    taken: dict[str, int] = {}
    for name in sorted(set(backends)):
        wanted = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % len(_BACKENDS)
        free = [i for i in range(len(_BACKENDS)) if i not in taken.values()] or [wanted]
        taken[name] = min(free, key=lambda i, w=wanted: (i - w) % len(_BACKENDS))  # type: ignore[misc]
    return {name: _BACKENDS[i][0] for name, i in taken.items()}
