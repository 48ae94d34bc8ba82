"""`dose demo` and `dose simulate`: a hospital that sends real DICOM, with known truth."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from dose_lib import DoseError, load_settings
from dose_lib.errors import UsageError
from pipelines.commands.terminal import chosen_home, out, progress_bars, say, settings

if TYPE_CHECKING:
    from dose_lib.simulate import Hospital
    from pipelines.demo import Demo


def demo(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="End by itself after the report, for automatic tests.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed is another hospital.")] = 1,
    days: Annotated[int | None, typer.Option(help="Days the hospital has worked.")] = None,
) -> None:
    """Show the whole loop on this machine: hospital, service, finding, report, dashboard.

    Uses the folder .demo, or --home; it is emptied at each run. Ctrl-C ends it.

    dose demo
    dose --home /tmp/demo demo --exit

    Exit codes: 0 ended, 2 the folder is not a demo's, 6 the service.
    """
    from pipelines.demo import Demo, choose_ports, prepare_home
    from pipelines.process import Stop

    home = prepare_home(chosen_home() or Path(".demo"))
    os.environ["DOSE_HOME"] = str(home)
    ports = choose_ports(load_settings(home))
    os.environ |= {f"DOSE_{name.upper()}": str(port) for name, port in ports.items()}
    stop = Stop()
    stop.watch_signals()
    say(f"Starting the service in {home} ...")
    with Demo(load_settings(home), seed=seed, days=days, stop=stop) as running:
        try:
            _play(running)
        except DoseError:
            # Ctrl-C reaches the kernel of a report as well; what it says then is no error.
            if not stop.is_set():
                raise
        if not exit_after and not stop.is_set():
            running.knock()
            say("Ctrl-C ends the demo.")
            stop.wait()
        say("Stopping ...")
    say("Stopped. `dose demo` runs it again.")


def _play(running: Demo) -> None:
    hospital = running.hospital
    say(f"{hospital.scenario.title}: {hospital.days} days up to {hospital.end}, sent over DICOM.")
    with progress_bars() as progress:
        sent = running.send(progress)
        running.wait_until_stored(progress)
    if running.is_over:
        return
    say(f"{sent.n_sent} dose reports sent in {sent.seconds:.1f} s, all of them stored.")
    found = running.findings()
    for finding in found:
        soon = f" ({finding.seconds:.1f} s after it arrived)" if finding.seconds else ""
        words = Text.assemble((finding.title, "bold"), soon, "\n", finding.summary)
        out.print(Panel(words, title="finding", title_align="left", border_style="yellow"))
    with progress_bars() as progress:
        record = running.report(progress)
    url = running.dashboards_url()
    s = running.settings
    lines = [
        ("Report", str(record.html)),
        ("Dashboards", url or "not ready; see `dose status`"),
        ("Notebooks", f"DOSE_HOME={s.home} {_program('jupyter')} lab notebooks/"),
        ("Status", f"{_program('dose')} --home {s.home} status"),
        ("DICOM", f"{s.ae_title} at {s.dicom_host}:{s.dicom_port}"),
    ]
    text = Text("\n").join(Text.assemble((f"{name:<12}", "bold"), value) for name, value in lines)
    out.print(Panel(text, title="where to look", title_align="left", border_style="green"))


def _program(name: str) -> str:
    """How a program of this environment is called from the shell one is in."""
    ours = Path(sys.executable).with_name(name)
    if not ours.exists() or shutil.which(name) == str(ours):
        return name
    here = Path.cwd()
    return str(ours.relative_to(here) if ours.is_relative_to(here) else ours)


def simulate(  # noqa: PLR0917 - each is an option of the command
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, or a TOML file.")] = "demo",
    to: Annotated[
        str | None, typer.Option(help="Receiver as AE@host:port; default: our own listener.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "--folder", help="Write files here instead.")
    ] = None,
    into_store: Annotated[
        bool,
        typer.Option("--store", help="Put records straight into our store instead, to measure."),
    ] = False,
    repeat: Annotated[
        int, typer.Option(help="With --store: how often each exam stands there, ever earlier.")
    ] = 1,
    mpps: Annotated[
        bool, typer.Option("--mpps", help="Send performed procedure steps too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed is another hospital.")] = 1,
    days: Annotated[int | None, typer.Option(help="Days the hospital has worked.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="60 makes a minute a second; default: as fast as it goes.")
    ] = None,
) -> None:
    """Let a simulated hospital send dose objects to a listener, or write them as files.

    dose simulate demo --days 7
    dose simulate demo --to DOSELOOP@127.0.0.1:11112 --speed 3600
    dose simulate district --out objects/ --days 30
    dose --home /tmp/big simulate district --store --repeat 10

    Exit codes: 0 sent, 6 some were not taken, 10 the scenario or the receiver.
    """
    from dose_lib.simulate import Exam, Hospital, Truth, write_files, write_truth
    from dose_lib.simulate.send import send

    hospital = Hospital.load(scenario, seed=seed, days=days)
    if into_store:
        _fill(hospital, repeat)
        return
    truths: list[Truth] = []
    called, host, port = _receiver(to)
    with progress_bars() as progress:

        def seen(exam: Exam) -> None:
            truths.extend(exam.truths)
            progress("days", (exam.started_at.date() - hospital.start).days + 1, hospital.days)

        objects = hospital.objects(seen, mpps=mpps)
        if folder is None:
            result = send(objects, host, port, called=called, speed=speed)
        else:
            n = write_files(objects, folder)
    if folder is not None:
        write_truth(truths, folder / "truth.csv")
        say(f"{n} objects written to {folder}, what was injected to {folder}/truth.csv.")
        return
    say(f"{result.n_sent} objects taken in {result.seconds:.1f} s.")
    if result.rejected:
        say(f"{len(result.rejected)} were not taken.")
        raise typer.Exit(6)


def _fill(hospital: Hospital, repeat: int) -> None:
    from dose_lib.simulate import fill_store, repeat_exams
    from dose_lib.store import Store, site_key

    s = settings()
    with progress_bars() as progress, Store.open(s) as store:
        result = fill_store(
            hospital,
            store,
            site_key=site_key(s),
            on_day=lambda n: progress("days", n, hospital.days),
        )
    say(f"{result.n_exams} exams stored in {result.seconds:.1f} s in {s.store_file}.")
    if repeat > 1:
        with progress_bars() as progress:
            n = repeat_exams(s, repeat, on_done=lambda done: progress("times", done, repeat))
        say(f"{n} exams after {repeat - 1} repetitions.")


def _receiver(text: str | None) -> tuple[str, str, int]:
    if text is None:
        s = settings()
        return s.ae_title, s.dicom_host, s.dicom_port
    called, _, place = text.rpartition("@")
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(
            f"{text!r} is no receiver", expected="AE@host:port, AE may be missing", where="--to"
        )
    return called or "DOSELOOP", host, int(port)
