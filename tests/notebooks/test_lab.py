"""The notebook in JupyterLab itself: run from its menu, in a browser without a network."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dose_lib.report import find_notebook
from dose_lib.settings import load_settings
from tests.notebooks.conftest import Seen, environment_of, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
NAME = "how_do_our_ct_doses_compare.ipynb"
# A notebook as long as its cells are, so that all of them stand in the page, and no news asked for.
_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@pytest.fixture
def lab(filled_home: Path, tmp_path: Path) -> Iterator[str]:
    """JupyterLab on a copy of the notebook, with settings of its own; the address."""
    for name, values in _SETTINGS.items():
        plugin = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.write_text(json.dumps(values))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(find_notebook(NAME, load_settings(filled_home)), folder)
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={folder}"]
    places = {f"JUPYTER_{n}_DIR": str(tmp_path / n.lower()) for n in ("CONFIG", "RUNTIME")}
    places |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    places |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
    log = tmp_path / "lab.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment_of(filled_home) | places, stdout=out, stderr=out
        )
    try:
        for _ in range(450):
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_all_cells_run_and_show_what_they_found(
    lab: str, look: Callable[..., Seen], tmp_path: Path
) -> None:
    seen = look(width=1400, height=9000)
    page = seen.page
    page.goto(f"{lab}/lab/tree/{NAME}", timeout=120_000)
    page.get_by_text("| Idle").wait_for(timeout=120_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    for _ in range(600):
        numbers = [p.strip("[]: ") for p in prompts.all_inner_texts()]
        if numbers and all(n.isdigit() for n in numbers):
            break
        page.wait_for_timeout(500)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    computed = page.get_by_text("How it was computed")
    computed.first.wait_for(timeout=60_000)
    page.get_by_role("button", name="break it down by technician").click()
    computed.nth(1).wait_for(timeout=60_000)
    page.locator(".jp-Notebook").screenshot(path=tmp_path / "lab.png")

    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".bk-Canvas").count() >= 8
    assert page.get_by_text("practices are above the national level").count() == 1
    # JupyterLab sets the text of cells flush right; only numbers stay there.
    words = page.locator(".dl table td:not(.num)").first
    assert words.evaluate("cell => getComputedStyle(cell).textAlign") == "left"
    assert seen.outside == []
    assert seen.errors == []
