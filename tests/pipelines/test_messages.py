"""What a worker says arrives as it was said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dose_lib.records import CtEvent, Modality, Part
from pipelines.worker import Detect, ReadObject, decode_request, decode_response, encode


def test_local_times_keep_their_offset() -> None:
    at = datetime(2024, 1, 31, 13, 26, 23, 500_000, timezone(timedelta(hours=-4)))
    events = (CtEvent(started_at=at), CtEvent(started_at=at.replace(tzinfo=None)))
    part = Part(part_key="p", study_uid="1.2", modality=Modality.CT, started_at=at, events=events)
    said = ReadObject(path="a.dcm", parts=(part,), sealed=b"\x00\xff")
    heard = decode_response(encode(said))
    assert heard == said
    assert isinstance(heard, ReadObject)
    # Equal instants are equal times to Python: what is shown must be the same too.
    assert repr(heard.parts[0].started_at) == repr(at)
    assert repr(heard.parts[0].events) == repr(events)
    asked = decode_request(encode(Detect(batch=1, parts=(part,))))
    assert isinstance(asked, Detect)
    assert repr(asked.parts[0].started_at) == repr(at)
