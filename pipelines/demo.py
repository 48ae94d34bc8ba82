"""`dose demo`: a simulated hospital sends real DICOM to a real service on this machine.

Nothing is shown that the service has not done itself: the objects travel over C-STORE, the
finding is opened by the detector, the report is run by papermill, the pages are live.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import msgspec

import dose_lib
from dose_lib import Settings, load_settings
from dose_lib.errors import PortInUseError, ServiceError, UsageError
from dose_lib.reference.signing import sign_off
from dose_lib.report import RunRecord
from dose_lib.simulate import Hospital, SendResult, SimObject
from dose_lib.simulate.send import send
from pipelines.dashboards import choose_port
from pipelines.disk import make_folder
from pipelines.heartbeat import read_beat
from pipelines.logs import configure_logs
from pipelines.process import Stop
from pipelines.service import Service
from pipelines.status import is_running, read_accounts

Progress = Callable[[str, int, int], None]

NOTEBOOK = "how_do_our_ct_doses_compare"
_SITE = Path(__file__).parent / "demo_site"
_MARK = ".doseloop-demo"  # a folder with this file is ours to empty
_PATIENCE_S = 120.0
# What the demo's site has checked against its sources, so that they may give verdicts.
_SIGNED_OFF = ("GB-UKHSA-NDRL", "EU-RP185-2018")


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A finding the demo's service opened, and how soon."""

    title: str
    summary: str
    device: str | None
    seconds: float | None


def prepare_home(home: Path) -> Path:
    """An empty home folder for the demo, with what its site owns.

    Raises
    ------
    UsageError
        If the folder holds something that is not a demo's.
    ServiceError
        If a demo runs there.
    """
    home = home.expanduser().resolve()
    if home.exists() and any(home.iterdir()):
        if not (home / _MARK).exists():
            raise UsageError(
                "the folder is not empty and not that of a demo",
                where=str(home),
                todo="Name another folder with --home",
            )
        if is_running(load_settings(home)):
            raise ServiceError("a demo runs here already", where=str(home), todo="Stop it first")
        shutil.rmtree(home)
    make_folder(home)
    (home / _MARK).touch()
    shutil.copytree(_SITE, home / "site")
    (home / "doseloop.toml").write_text(
        'site_name = "Example General Hospital (simulated)"\ncountry = "GB"\n'
        'timezone = "Europe/London"\n',
        encoding="utf-8",
    )
    return home


def choose_ports(settings: Settings) -> dict[str, int]:
    """The usual ports where they are free, else any free ones."""
    chosen = {}
    for name, host in (
        ("dicom_port", settings.dicom_host),
        ("health_port", settings.health_host),
        ("dashboards_port", settings.dashboards_host),
    ):
        try:
            chosen[name] = choose_port(getattr(settings, name), host, name)
        except PortInUseError:
            chosen[name] = choose_port(0, host, name)
    return chosen


class Demo:
    """One run of the demo, from the first object to the last page.

    Parameters
    ----------
    settings
        Of the demo's home folder, with ports.
    seed, days
        Which hospital; default length of the scenario.
    stop
        Set to end early.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int = 1,
        days: int | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.settings = settings
        self.hospital = Hospital.load("demo", seed=seed, days=days)
        self._stop = stop or Stop()
        self._over = Stop()
        self._service = Service(settings)
        self._watch = threading.Thread(target=self._service.run, args=(self._over,))
        self._sent: SendResult | None = None

    def __enter__(self) -> Demo:
        configure_logs(self.settings.logs_dir, "service")
        try:
            self._service.start()
            self._watch.start()
            self._sign_off()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the service; everything received is stored first."""
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()
        self._service.stop()

    @property
    def is_over(self) -> bool:
        """True if someone has asked for the end."""
        return self._stop.is_set()

    def _sign_off(self) -> None:
        levels = dose_lib.load_levels(self.settings)
        decisions = [
            sign_off(levels, name, author="Medical physics (demo)") for name in _SIGNED_OFF
        ]
        dose_lib.submit_decision(self.settings, *decisions)

    def send(self, progress: Progress) -> SendResult:
        """Send everything the hospital has done, in order of time."""
        exams = list(self.hospital.exams())
        objects = [o for exam in exams for o in exam.objects()]

        def show(done: int, _: SimObject) -> None:
            progress("sending", done, len(objects))

        self._sent = send(
            objects,
            self.settings.dicom_host,
            self.settings.dicom_port,
            called=self.settings.ae_title,
            progress=show,
            stop=self._stop.is_set,
        )
        if self._sent.rejected:
            raise ServiceError(f"{len(self._sent.rejected)} objects were not taken")
        return self._sent

    def wait_until_stored(self, progress: Progress) -> None:
        """Return when everything sent can be queried and was looked at.

        Raises
        ------
        ServiceError
            If nothing more is stored for a long time.
        """
        total = self._sent.n_sent if self._sent else 0
        done, since = -1, time.monotonic()
        while not self._stop.is_set():
            waiting = self._waiting()
            if total - waiting != done:
                done, since = total - waiting, time.monotonic()
                progress("storing", done, total)
            if waiting == 0 and read_accounts(self.settings).received >= total:
                return
            if time.monotonic() - since > _PATIENCE_S:
                raise ServiceError("the service stores nothing more", todo="See `dose status`")
            time.sleep(0.1)

    def _waiting(self) -> int:
        return sum(1 for p in self.settings.spool_dir.glob("*.dcm") if p.exists())

    def findings(self) -> list[Opened]:
        """The findings that are open, with the time from the sender's success to each."""
        con = dose_lib.connect(settings=self.settings)
        rows = con.table("findings").order_by("opened_at").to_pyarrow().to_pylist()
        objects = con.table("objects")
        found = []
        for row in rows:
            mine = objects.filter(objects.part_keys.contains(row["part_key"] or ""))
            uids = mine.sop_instance_uid.to_pyarrow().to_pylist()
            found.append(
                Opened(
                    title=row["title"],
                    summary=row["summary"],
                    device=row["device"],
                    seconds=self._seconds(uids, row["opened_at"]),
                )
            )
        return found

    def _seconds(self, uids: list[str], opened_at: datetime) -> float | None:
        answers = [t for u in uids if self._sent and (t := self._sent.answered_at.get(u))]
        if not answers:
            return None
        return (
            opened_at.astimezone(UTC) - datetime.fromtimestamp(max(answers), UTC)
        ).total_seconds()

    def report(self, progress: Progress) -> RunRecord:
        """Run the notebook into a report."""
        return dose_lib.run_notebook(
            NOTEBOOK,
            {},
            self.settings,
            on_cell=lambda done, total: progress("running the report", done, total),
        )

    def dashboards_url(self) -> str | None:
        """Address of the live pages, once they answer."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and not self._stop.is_set():
            beat = read_beat(self.settings.run_dir, "dashboards")
            if beat is not None and beat.is_ready:
                return str(beat.facts["url"])
            time.sleep(0.2)
        return None

    def knock(self) -> None:
        """Have the pages loaded before someone clicks: whoever runs a demo is about to look."""
        beat = read_beat(self.settings.run_dir, "dashboards")
        port = int((beat.facts["port"] if beat else 0) or 0)
        with suppress(OSError):
            socket.create_connection((self.settings.dashboards_host, port), timeout=5).close()
