"""One offline HTML file about a run: it fetches nothing, and tables and answers stand without script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bench.compare.results import RAW, Results
from bench.compare.undisturbed import remarks
from bench.compare.words import findings, roughly, rule, settle
from bench.files.whole import write_whole
from bench.text import strict_json
from bench.text.estimates import SHARP
from bench.text.numbers import difference
from reports.figures import Shown, figures, sweeps
from reports.html import gpu, machines, method, sure, views
from reports.html.scrub import names_in, scrub
from reports.palette import DARK

_HERE = Path(__file__).parent
UNFOLDED = 6  # so many groups show their figures at once
_BEFORE_UNIT = re.compile(r" (?=(?:%|×|(?:ns|µs|ms|s|min|MB|threads?)\b))(?<=\d )")  # a number keeps its unit


def write(results: Results, path: Path) -> Path:
    """Writes the report; returns its path.

    Raises BakeoffError where the place cannot be written.
    """
    return write_whole(path, render(results).encode(errors="backslashreplace"))


def render(results: Results) -> str:
    """The report as a string of HTML."""
    private = tuple(name for run in (results.run, *results.others) for name in names_in(run.machine))
    across, found = machines.machines(results), findings(results)
    shown, swept = figures(results), sweeps(results)
    style, script = (_static(name) for name in ("report.css", "report.js"))
    plotly = get_plotlyjs().replace("\r\n", "\n") if any(shown) else ""
    groups = [
        {
            "key": f"g{i}",
            "title": group.title,
            "workload": group.rows[0].case.workload,
            "answer": views.answer(group),
            "lines": views.lines(group),
            "gpu": (gpu_lines := gpu.lines(group)),
            "gpu_notes": gpu.notes(gpu_lines),
            "commands": views.commands(group),
            "sure": sure.comparisons(group),
            "remarks": list(remarks(group)),
            "forest": [one for one in shown[i] if one.sure],
            "figures": [one for one in shown[i] if not one.sure],
        }
        for i, group in enumerate(results.groups)
    ]
    template = _environment(private).get_template("report.html.j2")
    return template.render(
        policy=Markup(_policy(style, [text for text in (plotly, script) if text])),
        style=Markup(style),
        script=Markup(script),
        plotly=Markup(plotly),
        data=Markup(_data([*shown, *swept.values()], private)),
        run=results.run,
        relevant=difference(results.run.relevant),
        sharp=f"±{difference(SHARP)}",
        started=views.when(results.run.started),
        groups=groups,
        chapters=_chapters(groups, swept),
        findings=found,
        sure_columns=sure.COLUMNS,
        rule=rule(results),
        linted=method.linted(found),
        settle=settle(results),
        roughly=roughly(results),
        more=views.MORE,
        gpu_columns=gpu.COLUMNS,
        machines=across,
        machines_note=RAW,
        machines_why=machines.reasons(across),
        tail_needs=views.tail_needs(),
        troubles=views.troubles(results),
        counts=method.counts(results),
        harness=method.harness(results),
        machine_line=method.machine_line(results.run.machine),
        machine=method.machine_table(results.run.machine),
        phases=method.phases(results.run.seconds),
        command=views.run_command(results.run),
    )


def _chapters(groups: list[dict[str, Any]], swept: Mapping[str, list[Shown]]) -> list[dict[str, Any]]:
    """The figures of each workload: those over its batches, then those of its groups. Many groups are folded
    but for the first, as nobody reads them in a row."""
    drawn = [group for group in groups if group["figures"]]
    opened = drawn if len(drawn) <= UNFOLDED else drawn[:1]
    return [
        {
            "workload": workload,
            "swept": swept.get(workload, []),
            "groups": [group for group in drawn if group["workload"] == workload],
            "opened": [group["key"] for group in opened],
            "folds": len(drawn) > UNFOLDED,
        }
        for workload in dict.fromkeys(group["workload"] for group in drawn)
    ]


def _environment(private: tuple[str, ...]) -> jinja2.Environment:
    """Templates whose every value is scrubbed and then escaped, so that none can be forgotten."""

    def finalize(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", scrub(value, private))

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _static(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8")


def _policy(style: str, scripts: list[str]) -> str:
    """A content security policy under which only these texts run and nothing is fetched.

    plotly fills an empty style element rule by rule, hence the hash of the empty text, and sets style
    attributes: those alone are free, and attributes that come from a run are escaped.
    """
    allowed = " ".join(_hash(text) for text in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src-elem {_hash(style)} {_hash('')}; "
        "style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(shown: list[list[Shown]], private: tuple[str, ...]) -> str:
    """The figures as JSON that cannot end its script element."""
    plots = {one.id: one.figure.to_plotly_json() for group in shown for one in group}
    data = {"dark": dict(DARK), "figures": _scrubbed(plots, private)}
    return strict_json.dumps(data, compact=True).replace("<", "\\u003c")


def _scrubbed(value: Any, private: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return scrub(value, private)
    if isinstance(value, Mapping):
        return {key: _scrubbed(item, private) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item, private) for item in value]
    return value
