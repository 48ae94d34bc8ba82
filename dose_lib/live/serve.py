"""Pages for Panel's server: what it serves, and the command line that starts it.

`panel serve` runs one small script a notebook; each visitor gets a `Page` of their own. The
scripts, styles and fonts come from the server itself, nothing from anywhere else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dose_lib.errors import SettingsError
from dose_lib.live.cells import load_notebook
from dose_lib.live.page import Page
from dose_lib.report.files import notebooks as all_notebooks
from dose_lib.report.files import write_whole

if TYPE_CHECKING:
    from dose_lib.settings import Settings

_SCRIPT = '''"""Served by `dose dashboards`; written anew at each start."""

from dose_lib.live import serve_notebook

serve_notebook({path!r})
'''
_SETUP = """from dose_lib.live.serve import warm_up

warm_up()
"""
_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Dashboards – {site}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>body{{font:16px/1.5 system-ui,"Segoe UI",Roboto,Arial,"DejaVu Sans",sans-serif;
max-width:46rem;margin:3rem auto;padding:0 1rem;color:#1b2733}}h1{{font-size:1.5rem}}
li{{margin:.5rem 0}}a{{color:#00507d}}</style></head>
<body><p>{site}</p><h1>Dashboards</h1><ul>{links}</ul></body></html>
"""


def serve_notebook(path: str | Path) -> None:
    """Show a notebook as a self-refreshing page; called by a script under `panel serve`.

    Parameters
    ----------
    path
        The notebook.
    """
    import panel as pn

    from dose_lib.settings import load_settings

    pn.config.sizing_mode = None
    arguments = {
        name: values[-1].decode(errors="replace")
        for name, values in pn.state.session_args.items()
        if values
    }
    page = Page(Path(path), load_settings(), arguments)
    page.template().servable()
    pn.state.onload(page.start)


def warm_up() -> None:
    """Load what pages need before the first visitor comes: seconds that nobody waits for."""
    import hvplot  # noqa: F401

    from dose_lib.charts.picture import select_backend
    from dose_lib.store import connect  # noqa: F401

    select_backend()


def dashboard_command(
    settings: Settings, *, port: int | None = None, notebooks: Sequence[Path] | None = None
) -> list[str]:
    """The command that serves notebooks as dashboards; writes the scripts it serves.

    Parameters
    ----------
    settings
        Of the installation: address, port, home.
    port
        Overrides `settings.dashboards_port`; 0 is not possible, since the browser's origin
        is checked against it.
    notebooks
        Default: every notebook of the site and of DoseLoop.

    Returns
    -------
    list of str
        To be started with `dashboard_environment(settings)`.

    Raises
    ------
    SettingsError
        If there is no notebook or no port.
    """
    paths = list(notebooks) if notebooks is not None else list(all_notebooks(settings).values())
    port = settings.dashboards_port if port is None else port
    if not paths:
        raise SettingsError("there is no notebook to serve", where=str(settings.site_dir))
    if port == 0:
        raise SettingsError("dashboards_port is 0", expected="a port", todo="Choose a free one")
    folder = settings.run_dir / "dashboards"
    scripts = [_write_script(folder, path) for path in paths]
    index = folder / "index.html"
    write_whole(index, _index(settings, paths).encode())
    hosts = {settings.dashboards_host, "127.0.0.1", "localhost"}
    setup = folder / "_warm_up.py"
    write_whole(setup, _SETUP.encode())
    command = [sys.executable, "-m", "panel", "serve", *map(str, scripts)]
    command += ["--setup", str(setup)]
    command += ["--address", settings.dashboards_host, "--port", str(port)]
    for host in sorted(hosts):
        command += ["--allow-websocket-origin", f"{host}:{port}"]
    # Pages of closed browsers go after a minute; runs of theirs stop with them.
    command += ["--unused-session-lifetime", "60000", "--check-unused-sessions", "10000"]
    return [*command, "--index", str(index), "--log-level", "warning"]


def dashboard_environment(settings: Settings) -> dict[str, str]:
    """Environment for `dashboard_command`: every resource from the server itself."""
    own = {
        "DOSE_HOME": str(settings.home),
        "BOKEH_RESOURCES": "server",
        "MPLBACKEND": "agg",
    }
    inherited = {k: v for k, v in os.environ.items() if k not in ("DOSE_RENDER", "BOKEH_CDN")}
    return inherited | own


def _write_script(folder: Path, notebook: Path) -> Path:
    script = folder / f"{notebook.stem}.py"
    write_whole(script, _SCRIPT.format(path=str(notebook)).encode())
    return script


def _index(settings: Settings, paths: Sequence[Path]) -> str:
    links = "".join(
        f'<li><a href="./{escape(p.stem)}">{escape(load_notebook(p).title)}</a></li>' for p in paths
    )
    return _INDEX.format(site=escape(settings.site_name), links=links)
