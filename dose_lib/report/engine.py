"""Papermill's engine with an environment of the run's own.

Papermill starts its kernel in the environment of the process that calls it. The service runs
reports beside other work, so what a report needs to know is given to its kernel alone.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

NAME = "doseloop"


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Papermill does not see parameters annotated `str | None`; we have checked them all."""
    return "Passed unknown parameter" not in record.getMessage()


class ReportEngine(NBClientEngine):  # type: ignore[misc]  # papermill is untyped
    """Runs the cells in a kernel that gets `kernel_env` besides the process' environment."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run the cells; `kernel_env` and `on_cell` come from the caller of papermill."""
        environment: Mapping[str, str] = kwargs.get("kernel_env", {})
        on_cell: Callable[[int, int], None] | None = kwargs.get("on_cell")
        total = len(nb_man.nb.cells)

        def started(cell: Any, cell_index: int) -> None:
            if on_cell is not None:
                on_cell(cell_index + 1, total)

        with tempfile.TemporaryDirectory(prefix="dose-kernel-") as folder:
            # Sockets in a folder of our own instead of TCP ports that any user could reach.
            sockets = {"transport": "ipc", "ip": f"{folder}/kernel"}
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=kwargs.get("execution_timeout"),
                startup_timeout=kwargs.get("start_timeout", 60),
                log_output=kwargs.get("log_output", False),
                on_cell_start=started,
                config=Config({"ConnectionFileMixin": sockets}),
            )
            return client.execute(env={**os.environ, **environment})


def register() -> str:
    """Make the engine known to papermill; returns its name."""
    papermill_engines.register(NAME, ReportEngine)
    logging.getLogger("papermill").addFilter(_is_worth_saying)
    return NAME
