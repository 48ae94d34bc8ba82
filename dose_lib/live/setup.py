"""The first line of a notebook: whatever its present life needs, and nothing else."""

from __future__ import annotations

import sys

from dose_lib.charts import mode
from dose_lib.live.cells import MARK


def set_up_notebook() -> None:
    """Make pictures show in this notebook, in whichever of its lives it runs.

    In JupyterLab the scripts for interactive pictures are put into the page, without any
    network. Under a plain `panel serve NOTEBOOK.ipynb` the notebook becomes a page that
    refreshes itself, as under `dose dashboards`. In a report there is nothing to do.
    """
    caller = sys._getframe(1).f_globals
    if mode() == "report" or MARK in caller:
        return
    import panel as pn

    # `pn.state.served` looks at the module that asks, which here would be this one.
    if str(caller.get("__name__")).startswith("bokeh_app_") and "__file__" in caller:
        from dose_lib.live.serve import serve_notebook

        serve_notebook(caller["__file__"])
        return
    pn.extension(inline=True)
