"""The parameters cell as widgets: one a parameter, the same checks as a report's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from dose_lib.errors import UsageError
from dose_lib.report.parameters import Parameter, convert

if TYPE_CHECKING:
    from dose_lib.settings import Settings

# A parameter of one of these names is chosen among what the store holds.
FROM_STORE = ("modality", "procedure_name", "body_region", "device", "site", "room", "operator")
_ALL = "All"
REPORT_ONLY = "Report only"


def shown_parameters(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Those that a dashboard offers; help that starts with "Report only" keeps one off it."""
    return tuple(p for p in parameters if not p.help.startswith(REPORT_ONLY))


def read_choices(parameters: tuple[Parameter, ...], settings: Settings) -> dict[str, list[str]]:
    """What the store holds for the parameters that are named like a column of it."""
    import dose_lib

    wanted = [p.name for p in parameters if p.name in FROM_STORE and not p.choices]
    if not wanted:
        return {}
    con = dose_lib.connect(settings=settings)
    try:
        studies = con.table("studies")
        return {
            name: sorted(v for v in studies[[name]].distinct().to_pyarrow()[name].to_pylist() if v)
            for name in wanted
        }
    finally:
        con.disconnect()


def make_widget(parameter: Parameter, value: Any, on_change: Callable[[str, Any], None]) -> Any:
    """A widget for a parameter that calls `on_change` with its name and checked value."""
    widget = _build(parameter, value)

    def changed(event: Any) -> None:
        try:
            on_change(parameter.name, from_widget(parameter, event.new))
        except UsageError:
            return  # half typed: the page keeps what it shows

    widget.param.watch(changed, "value")
    return widget


def from_widget(parameter: Parameter, value: Any) -> Any:
    """What a widget holds as the parameter needs it."""
    chosen = None if value == _ALL and parameter.is_optional else value
    return convert(parameter, chosen, where="dashboard")


def _build(parameter: Parameter, value: Any) -> Any:
    import panel as pn

    common = {
        "label": parameter.label,
        "description": parameter.help or None,
        "sizing_mode": "stretch_width",
        "margin": (0, 0, 14, 0),
    }
    kind = parameter.kind
    if parameter.choices or parameter.name in FROM_STORE:
        options = list(parameter.choices or ([value] if value else []))
        options = [_ALL, *options] if parameter.is_optional else options
        return pn.widgets.Select(options=options, value=value or options[0], **common)
    if kind == "bool":
        del common["description"]
        return pn.widgets.Checkbox(value=bool(value), **common)
    if kind == "int":
        return pn.widgets.IntInput(value=value, **common)
    if kind == "float":
        return pn.widgets.FloatInput(value=value, **common)
    if kind == "date":
        day = date.fromisoformat(value) if isinstance(value, str) else value
        return pn.widgets.DatePicker(value=day, **common)
    text = ", ".join(value) if isinstance(value, list) else (value or "")
    return pn.widgets.TextInput(value=text, **common)


def offer_choices(
    widgets: Mapping[str, Any], parameters: tuple[Parameter, ...], choices: Mapping[str, list[str]]
) -> None:
    """Give the widgets what the store holds now, without touching what is chosen."""
    optional = {p.name: p.is_optional for p in parameters}
    for name, found in choices.items():
        widget = widgets[name]
        options = [_ALL, *found] if optional[name] else list(found)
        if widget.value not in options and widget.value is not None:
            options.append(widget.value)
        if options != widget.options:
            widget.options = options
