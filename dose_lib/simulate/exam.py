"""One examination with its reports, the objects its device sends, and what was injected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Literal

import msgspec

from dose_lib.records import CtEvent, Identity, Part, SourceObject, StepStatus
from dose_lib.simulate.ct_exam import ct_totals
from dose_lib.simulate.scenario import DeviceSpec
from dose_lib.simulate.truth import Truth
from dose_lib.simulate.uids import derive_uid, seed_number
from dose_lib.simulate.writer import write_image, write_rdsr, write_step
from dose_lib.simulate.writer.document import PERFORMED_STEP
from dose_lib.simulate.writer.images import image_class
from dose_lib.simulate.writer.steps import step_uid

Command = Literal["C-STORE", "N-CREATE", "N-SET"]


class SimObject(msgspec.Struct, frozen=True, kw_only=True):
    """One DICOM object on its way: bytes of the file, who sends it, when, by which command."""

    data: bytes
    sop_class: str
    sop_instance_uid: str
    study_uid: str
    calling_ae_title: str
    sent_at: datetime
    command: Command = "C-STORE"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One exam part and the dialect its report is written in; None where no report is sent."""

    part: Part
    dialect: str | None


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """One examination.

    Attributes
    ----------
    reports
        Its parts; a PET-CT has two.
    identity
        Who was examined by whom.
    device
        The unit that did it.
    is_patient
        False for exposures of phantoms.
    truths
        What was injected in it.
    """

    reports: tuple[Report, ...]
    identity: Identity
    device: DeviceSpec
    is_patient: bool = True
    truths: tuple[Truth, ...] = ()

    @property
    def part(self) -> Part:
        """The first part."""
        return self.reports[0].part

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts."""
        return tuple(r.part for r in self.reports)

    @property
    def started_at(self) -> datetime:
        """Start of irradiation or administration, local time."""
        return self.part.started_at or datetime.min

    def objects(self) -> tuple[SimObject, ...]:
        """The objects the device sends for this examination, in order of time."""
        made = [o for r in self.reports for o in self._reports(r)]
        if self.device.sends != "report":
            made += self._images()
        return tuple(sorted(made, key=lambda o: o.sent_at))

    def steps(self) -> tuple[SimObject, ...]:
        """Start and end of the exam as performed procedure step, if the device sends them."""
        if not self.device.mpps:
            return ()
        ended = max(p.ended_at or self.started_at for p in self.parts)
        chance = seed_number("discontinued", self.part.study_uid) % 10_000 / 10_000
        is_broken_off = chance < self.device.discontinued_share
        moments: tuple[tuple[Command, datetime, StepStatus], ...] = (
            ("N-CREATE", self.started_at, StepStatus.IN_PROGRESS),
            (
                "N-SET",
                ended + timedelta(seconds=20),
                StepStatus.DISCONTINUED if is_broken_off else StepStatus.COMPLETED,
            ),
        )
        return tuple(
            SimObject(
                data=write_step(self.part, self.identity, status),
                sop_class=PERFORMED_STEP,
                sop_instance_uid=step_uid(self.part),
                study_uid=self.part.study_uid,
                calling_ae_title=self.device.ae_title,
                sent_at=moment,
                command=command,
            )
            for command, moment, status in moments
        )

    def _reports(self, report: Report) -> list[SimObject]:
        if report.dialect is None:
            return []
        versions = _versions(report.part, self.device)
        return [self._object(part, report.dialect) for part in versions]

    def _object(self, part: Part, dialect: str) -> SimObject:
        source = part.sources[0]
        return SimObject(
            data=write_rdsr(part, self.identity, dialect),
            sop_class=source.sop_class or "",
            sop_instance_uid=source.sop_instance_uid or "",
            study_uid=part.study_uid,
            calling_ae_title=self.device.ae_title,
            sent_at=source.content_at or self.started_at,
        )

    def _images(self) -> list[SimObject]:
        part = self.part
        made = []
        for n, sop in enumerate(image_uids(part)):
            data = write_image(part, self.identity, n, sop)
            made.append(
                SimObject(
                    data=data,
                    sop_class=image_class(part),
                    sop_instance_uid=sop,
                    study_uid=part.study_uid,
                    calling_ae_title=self.device.ae_title,
                    sent_at=self.started_at + timedelta(seconds=60 * n + 20),
                )
            )
        return made


def image_uids(part: Part) -> list[str]:
    """SOP Instance UIDs of the images of a part, one an exposure or an administration."""
    if part.administrations:
        return [derive_uid("image", part.study_uid, n) for n in range(len(part.administrations))]
    found = [u for e in part.events for u in getattr(e, "acquired_image_uids", ())]
    return found or [derive_uid("image", part.study_uid, n) for n in range(len(part.events))]


def _versions(part: Part, device: DeviceSpec) -> list[Part]:
    """The reports a CT scanner sends of one exam: one, a growing one, or two halves."""
    events = [e for e in part.events if isinstance(e, CtEvent)]
    if len(events) < 2:
        return [part]
    if device.reports == "cumulative":
        return [_report_of(part, events[: n + 1], n, len(events)) for n in range(len(events))]
    chance = seed_number("split", part.study_uid) % 10_000 / 10_000
    if chance < device.split_share:
        cut = Random(seed_number("cut", part.study_uid)).randrange(1, len(events))  # noqa: S311
        return [_report_of(part, events[:cut], 0, 2), _report_of(part, events[cut:], 1, 2)]
    return [part]


def _report_of(part: Part, events: Sequence[CtEvent], n: int, of: int) -> Part:
    """One of several reports of an exam; the last keeps the UIDs and time of the whole."""
    source = part.sources[0]
    last = events[-1]
    ended = (last.started_at or datetime.min) + timedelta(seconds=last.exposure_time_s or 1.0)
    if n < of - 1:
        source = msgspec.structs.replace(
            source,
            sop_instance_uid=derive_uid("version", source.sop_instance_uid, n),
            series_uid=derive_uid("version", source.series_uid, n),
            content_at=ended.replace(microsecond=0) + timedelta(seconds=8),
        )
    return msgspec.structs.replace(
        part,
        events=tuple(events),
        totals=ct_totals(events),
        started_at=events[0].started_at,
        ended_at=ended.replace(microsecond=0) if n < of - 1 else part.ended_at,
        sources=(source,),
    )


def first_source(sop_class: str, key: tuple[object, ...], content_at: datetime) -> SourceObject:
    """The report object of an exam part."""
    return SourceObject(
        sop_instance_uid=derive_uid("sop", *key),
        sop_class=sop_class,
        series_uid=derive_uid("series", *key),
        content_at=content_at,
    )
