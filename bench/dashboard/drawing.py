"""Draws a dashboard's panels where Grafana would put them, with what Prometheus answered to their own queries."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.dashboard.answers import Answers
from bench.dashboard.panels import DIGEST, Panel, digest, panels
from bench.dashboard.prometheus import Series
from bench.dashboard.tables import rows_of
from bench.dashboard.theme import BACKGROUND, PANEL, QUIET, TEXT, colour, series_colour
from bench.dashboard.units import shown

PICTURE: Final = Path(__file__).parents[2] / "docs" / "monitoring" / "dashboard.png"
_COLUMNS: Final = 24
_WIDTH_INCHES: Final = 15.0
_UNIT_INCHES: Final = 0.3  # height of Grafana's grid, and of a title
_GAP_INCHES: Final = 0.05
_TABLE_ROW_INCHES: Final = 0.22
_MOST_LEGEND: Final = 3


def draw(all_panels: Sequence[Panel], answers: Answers, file: Path) -> None:
    """Draw everything."""
    mpl.rcParams.update({"font.size": 8, "text.color": TEXT, "axes.edgecolor": QUIET, "axes.spines.top": False,
                         "axes.spines.right": False, "xtick.color": TEXT, "ytick.color": TEXT})  # fmt: skip
    height = max(top + tall for _, top, _, tall in (panel.place for panel in all_panels)) * _UNIT_INCHES
    figure = plt.figure(figsize=(_WIDTH_INCHES, height), facecolor=BACKGROUND)
    drawing = _Drawing(figure, answers)
    for panel in all_panels:
        drawing.panel(panel)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, facecolor=BACKGROUND, metadata={"Description": f"{DIGEST} {digest()}"})
    plt.close(figure)


class _Drawing:
    """One picture."""

    def __init__(self, figure: Any, answers: Answers) -> None:
        self._figure = figure
        self._answers = answers

    def panel(self, panel: Panel) -> None:
        if panel.type == "row":
            left, top, _, height = self._frame(panel)
            self._figure.text(left, top - height / 2, panel.title, fontsize=11, va="center", weight="bold")
            return
        left, top, width, height = self._frame(panel)
        inches = self._figure.get_size_inches()
        self._figure.add_artist(
            plt.Rectangle(
                (left, top - height), width, height, facecolor=PANEL, edgecolor="#2c3235", linewidth=0.6, zorder=-1
            )
        )
        pad = 0.1 / inches[0]
        self._figure.text(left + pad, top - 0.16 / inches[1], panel.title, fontsize=9, va="center")
        within = (left + pad, top - height + 0.06 / inches[1], width - 2 * pad, height - 0.34 / inches[1])
        {
            "stat": self._stat,
            "timeseries": self._lines,
            "state-timeline": self._states,
            "bargauge": self._bars,
            "table": self._table,
        }[panel.type](panel, within)

    def _frame(self, panel: Panel) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a panel, as parts of the picture; top counts from below."""
        x, y, wide, tall = panel.place
        inches = self._figure.get_size_inches()
        across, gap = 1 / _COLUMNS, (_GAP_INCHES / inches[0], _GAP_INCHES / inches[1])
        unit = _UNIT_INCHES / inches[1]
        return x * across + gap[0] / 2, 1 - y * unit - gap[1] / 2, wide * across - gap[0], tall * unit - gap[1]

    def _named(self, panel: Panel) -> list[tuple[str, Series]]:
        """Return every series under the name that its legend has for it, in order."""
        return sorted(
            (target.label(series.labels), series)
            for target in panel.targets
            for series in self._answers.to(target)
            if series.values
        )

    def _stat(self, panel: Panel, within: tuple[float, float, float, float]) -> None:
        found = self._named(panel)
        value = found[0][1].values[0][1] if found else float(panel.defaults["noValue"])
        steps = panel.defaults["thresholds"]["steps"]
        reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
        left, bottom, width, height = within
        self._figure.text(
            left + width / 2, bottom + height * 0.55, shown(value, "short"), fontsize=26, ha="center", va="center",
            color=colour(reached[-1]), weight="bold",
        )  # fmt: skip

    def _lines(self, panel: Panel, within: tuple[float, float, float, float]) -> None:
        left, bottom, width, height = within
        inches = self._figure.get_size_inches()
        found = self._named(panel)
        rows = -(-len(found) // _MOST_LEGEND)
        below = (0.2 + 0.15 * max(rows, 1)) / inches[1]
        beside = 0.5 / inches[0]
        axes = self._axes((left + beside, bottom + below, width - beside, height - below))
        custom = panel.defaults["custom"]
        if "stacking" in custom and found:
            step_seconds = self._answers.step_seconds
            steps = range(round(self._answers.seconds / step_seconds) + 1)
            times = [step * step_seconds for step in steps]
            by_step = [{round(at / step_seconds): value for at, value in series.values} for _, series in found]
            heights = [[values.get(step, 0.0) for step in steps] for values in by_step]
            colours = [series_colour(number) for number in range(len(found))]
            axes.stackplot(times, heights, colors=colours, labels=[one for one, _ in found], alpha=0.6)
        for number, (label, series) in enumerate([] if "stacking" in custom else found):
            at, values = zip(*self._with_gaps(series), strict=True)
            axes.plot(at, values, color=series_colour(number), linewidth=1.3, label=label)
            axes.fill_between(at, values, color=series_colour(number), alpha=custom["fillOpacity"] / 100, linewidth=0)
        is_flat = all(value == 0 for _, series in found for _, value in series.values)
        axes.set_ylim(0, panel.defaults.get("max") or (1 if is_flat else axes.get_ylim()[1]))
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: shown(value, panel.defaults["unit"]))
        if found:
            handles, labels = axes.get_legend_handles_labels()
            self._figure.legend(
                handles, labels, loc="lower left", bbox_to_anchor=(left, bottom), ncols=_MOST_LEGEND, frameon=False,
                fontsize=7, borderaxespad=0, handlelength=1, columnspacing=1, handletextpad=0.4, labelspacing=0.2,
            )  # fmt: skip

    def _with_gaps(self, series: Series) -> list[tuple[float, float]]:
        """Return a series with a hole where it was not there: a line through it would tell of something."""
        step_seconds = self._answers.step_seconds
        found: list[tuple[float, float]] = []
        for at, value in series.values:
            if found and at - found[-1][0] > 1.5 * step_seconds:
                found.append((found[-1][0] + step_seconds, float("nan")))
            found.append((at, value))
        return found

    def _states(self, panel: Panel, within: tuple[float, float, float, float]) -> None:
        (mapping,) = panel.defaults["mappings"]
        states = {float(value): state for value, state in mapping["options"].items()}
        left, bottom, width, height = within
        inches = self._figure.get_size_inches()
        beside, below = 1.45 / inches[0], 0.4 / inches[1]
        axes = self._axes((left + beside, bottom + below, width - beside, height - below))
        found = self._named(panel)[::-1]
        for row, (_, series) in enumerate(found):
            for at, value in series.values:
                axes.barh(
                    row,
                    1.02 * self._answers.step_seconds,
                    left=at,
                    height=0.8,
                    color=colour(states[value]["color"]),
                    alpha=0.85,
                    linewidth=0,
                )
        axes.set_yticks(range(len(found)), [label for label, _ in found])
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.grid(visible=False)
        handles = [
            plt.Rectangle((0, 0), 1, 1, color=colour(state["color"]), label=state["text"]) for state in states.values()
        ]
        self._figure.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(left, bottom), ncols=len(handles),
            frameon=False, fontsize=7, borderaxespad=0, handlelength=1, handletextpad=0.4, columnspacing=1,
        )  # fmt: skip

    def _bars(self, panel: Panel, within: tuple[float, float, float, float]) -> None:
        left, bottom, width, height = within
        found = [(name, series.values[0][1]) for name, series in self._named(panel)]
        inches = self._figure.get_size_inches()
        beside = 1.0 / inches[0]
        axes = self._figure.add_axes((left + beside, bottom, width - beside - 0.3 / inches[0], height), facecolor=PANEL)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks([])
        names = [name for name, _ in sorted(found, reverse=True)]
        values = [value for _, value in sorted(found, reverse=True)]
        axes.barh(names, values, height=0.55, color=colour(panel.defaults["color"]["fixedColor"]))
        axes.set_ylim(-0.8, len(names) - 0.2)
        for row, value in enumerate(values):
            axes.text(value, row, f" {shown(value, 'short')}", va="center", fontsize=11, weight="bold")

    def _table(self, panel: Panel, within: tuple[float, float, float, float]) -> None:
        """Draw it; what does not fit would be scrolled to, and is left out."""
        headings, rows = rows_of(panel, [self._answers.to(target) for target in panel.targets])
        left, bottom, width, height = within
        step = _TABLE_ROW_INCHES / self._figure.get_size_inches()[1]
        columns = zip(*[headings, *rows], strict=True)
        widths = [max(map(len, column)) + 2 for column in columns]
        starts = [left + width * sum(widths[:number]) / sum(widths) for number in range(len(widths))]
        for number, row in enumerate([headings, *rows][: int(height / step)]):
            y = bottom + height - (number + 0.5) * step
            for start, cell in zip(starts, row, strict=True):
                self._figure.text(start, y, cell, va="center", color=TEXT if number else colour("blue"))
            below = [y - step / 2] * 2
            self._figure.add_artist(plt.Line2D([left, left + width], below, color=QUIET, linewidth=0.4))

    def _axes(self, within: tuple[float, float, float, float]) -> Any:
        axes = self._figure.add_axes(within, facecolor=PANEL)
        end = self._answers.seconds
        axes.set_xlim(0, end)
        axes.xaxis.set_major_locator(mpl.ticker.MultipleLocator(60))
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds / 60:.0f} min" if 0 < seconds < end else "")
        axes.tick_params(length=0, labelsize=7)
        axes.grid(visible=True, color="#2c3235", linewidth=0.6)
        axes.set_axisbelow(True)
        return axes


if __name__ == "__main__":
    draw(list(panels()), Answers.read(Path(sys.argv[1])), PICTURE)
