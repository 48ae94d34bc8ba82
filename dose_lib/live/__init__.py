"""A notebook as a live page: run again when data arrive, taken over without flicker."""

from __future__ import annotations

from dose_lib.live.asking import AskBox, ask_box
from dose_lib.live.serve import dashboard_command, dashboard_environment, serve_notebook
from dose_lib.live.setup import set_up_notebook

__all__ = [
    "AskBox",
    "ask_box",
    "dashboard_command",
    "dashboard_environment",
    "serve_notebook",
    "set_up_notebook",
]
