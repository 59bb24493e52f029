"""Charts of the difference per layer as inline SVG, whose colours come from the style sheet of the page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import MissingDependencyError
from ..runners.environments import lacking_libraries
from ..states import describe, is_map
from .result import Report

DTYPES = ("float64", "float32")

END_TO_END = "End to end, difference per layer"
LAYER_BY_LAYER = "Layer by layer: each layer fed with the source's state"
GRADIENTS = "Gradients of all parameters"
MAIN = (END_TO_END, LAYER_BY_LAYER)
NOTES = {
    GRADIENTS: "A gradient that is zero but for rounding, such as that of a key's bias, has no relative difference to "
    "speak of: a millionth of the largest gradient counts as part of each one's size."
}
TITLES = {"float64": END_TO_END, "float32": END_TO_END, "layers": LAYER_BY_LAYER, "gradients": GRADIENTS}

MARKERS = {"float64": ("o", 6.5), "float32": ("s", 4.5)}
"""Their shape and size: both are seen where they coincide."""

# Colours that stand for variables of the style sheet: the page is read in the dark too.
INK, FAINT, OVER = "#0a0b01", "#0a0b02", "#0a0b03"
LINES = {"float64": "#0a0b04", "float32": "#0a0b05"}
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    OVER: "var(--failed)",
    LINES["float64"]: "var(--float64)",
    LINES["float32"]: "var(--float32)",
}

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Point:
    """One state: its difference and its limit, both over the state's largest value, and whether it is within it."""

    name: str
    difference: float
    limit: float
    holds: bool

    @property
    def in_line(self) -> bool:
        """Whether it is one of the embeddings and layers, or attention maps, that follow one another."""
        kind, _, number = self.name.partition(".")
        return kind in ("hidden_state", "attention") and number.isdecimal()

    @property
    def share(self) -> float:
        """Difference over limit, by which the worst of several is found; what is not finite is the worst."""
        share = _ratio(self.difference, self.limit)
        return math.inf if math.isnan(share) else share

    @property
    def label(self) -> str:
        """A short name for an axis: the number of a layer, as in the names of tensors."""
        kind, _, number = self.name.partition(".")
        if self.in_line:
            index = int(number) - (kind == "hidden_state")
            return "emb." if index < 0 else str(index)
        return self.name.removesuffix("_state").removesuffix("_output").replace("_", " ")


@dataclass(frozen=True)
class Panel:
    """One chart: a title and, per precision, the states in order. `main`: it is what a reader looks at first."""

    title: str
    series: Mapping[str, tuple[Point, ...]]
    main: bool = True
    note: str = ""

    @property
    def names(self) -> list[str]:
        """All states in order, each once."""
        return list(dict.fromkeys(point.name for points in self.series.values() for point in points))

    @property
    def summary(self) -> str:
        """What the chart shows, in words."""
        parts = []
        for dtype, points in self.series.items():
            over = [point for point in points if not point.holds]
            # The one that checks and tables name: nearest to its limit, or farthest beyond it.
            worst = max(points, key=lambda point: point.share)
            state = f"{len(over)} of {len(points)} over their limit" if over else "all within their limits"
            parts.append(
                f"{dtype}: {len(points)} states, {state}, worst {worst.difference:.1e} (limit {worst.limit:.1e}), "
                f"{describe(worst.name)}"
            )
        return "; ".join(parts)


def panels(report: Report) -> list[Panel]:
    """The charts of a report: end to end, attention maps, and one for every further check that compared states."""
    grouped: dict[str, dict[str, list[Point]]] = {}
    for check in report.checks:
        states = check.details.get("states")
        if not isinstance(states, Sequence):
            continue
        for state in states:
            point = _point(state)
            title = _title(check.name, point.name)
            dtype = str(state.get("dtype") or (check.name if check.name in DTYPES else "float64"))
            grouped.setdefault(title, {}).setdefault(dtype, []).append(point)
    order = sorted(grouped, key=lambda title: (title not in MAIN, list(grouped).index(title)))
    return [
        Panel(
            title,
            {dtype: tuple(grouped[title][dtype]) for dtype in sorted(grouped[title], reverse=True)},
            title in MAIN or not any(name in MAIN for name in grouped),
            NOTES.get(title, ""),
        )
        for title in order
    ]


def _title(check: str, state: str) -> str:
    title = TITLES.get(check, f"Check “{check}”")
    return "End to end, attention maps" if title == END_TO_END and is_map(state) else title


def draw(panel: Panel, *, narrow: bool, salt: str) -> str:
    """The chart as an SVG element for a wide page or a narrow one; equal input gives equal text.

    `salt` must be different for each chart of a page: it keeps their ids apart. Raises MissingDependencyError.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(lacking_libraries("report.html", ["matplotlib"])) from error
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,
        "font.size": 9.0 if narrow else 8.5,
        "font.family": "sans-serif",
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(3.75, 4.3) if narrow else (9.6, 3.5), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _draw_axes(axes, panel, narrow)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), panel, salt)


def _draw_axes(axes: Any, panel: Panel, narrow: bool) -> None:
    scale = _Scale.of(point for points in panel.series.values() for point in points)
    places = {name: place for place, name in enumerate(panel.names)}
    for dtype, points in panel.series.items():
        colour = LINES.get(dtype, INK)
        _draw_limits(axes, points, places, scale, colour, f"limit {dtype}")
        layers = [point for point in points if point.in_line]
        # A line stops where a value has no place on a log scale.
        heights = [scale.place(p.difference) if scale.shows(p.difference) else math.nan for p in layers]
        axes.plot([places[p.name] for p in layers], heights, "-", c=colour, lw=1.2)
        xs, ys = [places[p.name] for p in points], [scale.place(p.difference) for p in points]
        shape, size = MARKERS.get(dtype, ("D", 5))
        axes.plot(xs, ys, shape, c=colour, ms=size, label=dtype)
    over = [point for points in panel.series.values() for point in points if not point.holds]
    if over:
        xs, ys = [places[p.name] for p in over], [scale.place(p.difference) for p in over]
        axes.plot(xs, ys, "o", mfc="none", mec=OVER, mew=1.8, ms=12, label="over its limit")
    scale.set_up(axes)
    _label_states(axes, panel, narrow)
    axes.set_ylabel("difference / largest value of the state")
    axes.grid(axis="y", color=FAINT, lw=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    drawn = dict(zip(labels, handles, strict=True))
    wanted = [label for dtype in panel.series for label in (dtype, f"limit {dtype}")] + ["over its limit"]
    shown = [label for label in wanted if label in drawn]
    columns = 2 if narrow else 5
    axes.figure.legend([drawn[x] for x in shown], shown, loc="outside upper left", ncols=columns, frameon=False)


def _draw_limits(
    axes: Any, points: Sequence[Point], places: Mapping[str, int], scale: _Scale, colour: str, label: str
) -> None:
    """A dashed bar over each state, joined into a step line where states are neighbours."""
    xs: list[float] = []
    ys: list[float] = []
    for point in points:
        xs += [places[point.name] - 0.5, places[point.name] + 0.5]
        ys += [scale.place(point.limit) if scale.shows(point.limit) or point.limit == 0 else math.nan] * 2
    axes.plot(xs, ys, "--", c=colour, lw=1.2, label=label)


def _label_states(axes: Any, panel: Panel, narrow: bool) -> None:
    points = list({point.name: point for series in panel.series.values() for point in series}.values())
    axes.set_xlim(-0.6, len(points) - 0.4)
    layers = [place for place, point in enumerate(points) if point.in_line]
    if not layers:
        axes.set_xlabel("tensor, in the order of the table below")
        axes.xaxis.get_major_locator().set_params(integer=True)
        return
    layer_ticks = layers[:: math.ceil(len(layers) / (9 if narrow else 26))]
    others = [place for place in range(len(points)) if place not in layers]
    ticks = sorted([*layer_ticks, *others])
    axes.set_xticks(ticks, [points[place].label for place in ticks])
    for place, text in zip(ticks, axes.get_xticklabels(), strict=True):
        if place in others and narrow:
            text.set(rotation=90)
        elif place in others and (len(others) > 3 or len(points) > 20):
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    what = "attention map of layer" if is_map(points[0].name) else "output of embeddings and layer"
    axes.set_xlabel(what + (", then other outputs" if others and not narrow else ""))


@dataclass(frozen=True)
class _Scale:
    """A log scale with a place of its own, below, for what is exactly equal, and another, above, for NaN and
    infinity, neither of which a logarithm has. Values are decades."""

    low: int
    high: int
    zeros: bool
    strange: bool

    @classmethod
    def of(cls, points: Iterable[Point]) -> _Scale:
        both = [(point.difference, point.limit) for point in points]
        shown = [math.log10(value) for pair in both for value in pair if cls.shows(value)]
        low, high = math.floor(min(shown, default=-1.0)), math.ceil(max(shown, default=0.0))
        strange = any(not math.isfinite(difference) for difference, _ in both)
        return cls(low, max(high, low + 1), any(0 in pair for pair in both), strange)

    @property
    def zero(self) -> float:
        return self.low - max(1.0, (self.high - self.low) / 8)

    @property
    def above(self) -> float:
        return self.high + max(1.0, (self.high - self.low) / 8)

    @staticmethod
    def shows(value: float) -> bool:
        return math.isfinite(value) and value > 0

    def place(self, value: float) -> float:
        if not math.isfinite(value):
            return self.above
        return math.log10(value) if value > 0 else self.zero

    def set_up(self, axes: Any) -> None:
        step = max(1, math.ceil((self.high - self.low) / 7))
        ticks: list[float] = list(range(self.low, self.high + 1, step))
        labels = [f"10{str(int(tick)).translate(_SUPERSCRIPT)}" for tick in ticks]
        margin = (self.high - self.low) * 0.04
        bottom, top = self.low - margin, self.high + margin
        for wanted, place, border, label in (
            (self.zeros, self.zero, (self.zero + self.low) / 2, "equal (0)"),
            (self.strange, self.above, (self.above + self.high) / 2, "not finite"),
        ):
            if wanted:
                ticks.append(place)
                labels.append(label)
                axes.axhline(border, color=FAINT, lw=0.8, ls=":")
                bottom, top = min(bottom, place - margin - 0.3), max(top, place + margin + 0.3)
        axes.set_yticks(ticks, labels)
        axes.set_ylim(bottom, top)


def _point(state: Mapping[str, Any]) -> Point:
    # What a check measures its differences over, where that is not the largest value alone.
    over = "over" if "over" in state else "scale"
    difference, scale, limit = (_number(state.get(key)) for key in ("difference", over, "limit"))
    holds = math.isfinite(difference) and math.isfinite(limit) and difference <= limit
    return Point(str(state.get("name", "")), _ratio(difference, scale), _ratio(limit, scale), holds)


def _ratio(value: float, scale: float) -> float:
    if scale == 0:
        return 0.0 if value == 0 else math.inf
    return value / scale


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _inline(svg: str, panel: Panel, salt: str) -> str:
    """The SVG element alone, for a page that holds several: no prologue, no metadata, no style sheet of its own, ids
    that are unique and only where something points at them, and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{salt}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{salt}-", svg)
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    opening, rest = svg.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', opening)
    label = _escape(f"{panel.title}. {panel.summary}")
    return f'<svg {view[0] if view else ""} role="img" aria-label="{label}">{_tidy(rest)}'


def _tidy(svg: str) -> str:
    return re.sub(r"\n\s*", "\n", svg).strip()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
