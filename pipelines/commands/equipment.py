"""`dose device`: the units of the department, their names, and what happened to them.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

import dose_lib
from dose_lib.equipment import (
    decide_twin,
    device_timeline,
    find_twins,
    join_devices,
    link_sure_twins,
    list_devices,
    log_event,
    name_device,
)
from dose_lib.errors import UsageError
from pipelines.commands.mapping import Author, Json, show_frame, who
from pipelines.commands.terminal import err, help_of, say, settings

Unit = Annotated[str, typer.Argument(help="Name, station name, serial number or key.")]
_SHOWN = ["device", "site", "room", "manufacturer", "model", "serial_number", "n_parts",
          "last_started_at", "device_key"]  # fmt: skip


def list_units(json: Json = False) -> None:
    """List the units that exams came from.

    dose device list

    Exit codes: 0, 4 store.
    """
    rows = list_devices(dose_lib.connect(settings=settings()))
    show_frame(rows if json else rows[_SHOWN], json, empty="No unit has sent anything yet.")


def name(
    device: Unit,
    display_name: Annotated[str | None, typer.Argument(help="How it is to be called.")] = None,
    site: Annotated[str | None, typer.Option(help="Where it stands.")] = None,
    room: Annotated[str | None, typer.Option(help="In which room.")] = None,
    author: Author = None,
) -> None:
    """Give a unit its name, site or room, for exams of every day.

    dose device name CTAWP98231 "Scanner 2" --room "CT 2"

    Exit codes: 0, 2 no such unit, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    decision = name_device(
        con, device, display_name=display_name, site=site, room=room, author=who(author),
        settings=here,
    )  # fmt: skip
    said = ", ".join(str(v) for v in decision.payload.values() if v)
    say(f"{device} is {said}.")


def timeline(device: Unit, json: Json = False) -> None:
    """Show what happened to a unit: names, software versions, services, decisions.

    dose device timeline "Scanner 2"

    Exit codes: 0, 2 no such unit, 4 store.
    """
    here = settings()
    rows = device_timeline(dose_lib.connect(settings=here), device, settings=here)
    show_frame(rows, json, empty="Nothing is known of it.")


def event(  # noqa: PLR0917 - each is an option of the command
    device: Unit,
    what: Annotated[str, typer.Argument(help="What was done, in a few words.")],
    category: Annotated[
        str, typer.Option(help="service, part replaced, protocol, calibration, test or other.")
    ] = "service",
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="When; default now."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="A remark; name no patient here.")] = None,
    author: Author = None,
) -> None:
    """Write a service, a replaced part or a protocol change into a unit's timeline.

    dose device event "Scanner 2" "X-ray tube replaced" --category "part replaced" --at 2026-11-02

    Exit codes: 0, 2 no such unit or category, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    log_event(
        con, device, what, category=category, at=at, author=who(author), note=note, settings=here
    )
    say(f"Written down: {category} of {device}: {what}.")


def join(
    device: Unit,
    same_as: Annotated[
        str | None, typer.Argument(help="The unit it is; left out: they are two again.")
    ] = None,
    because: Annotated[str | None, typer.Option("--because", help="Why.")] = None,
    author: Author = None,
) -> None:
    """Say that two entries are one unit, where no serial number tells it.

    dose device join CT_OLD_NAME "Scanner 2" --because "renamed by the network team"
    dose device join 3f9a0c21b7d4

    Exit codes: 0, 2 no such unit, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    join_devices(con, device, same_as, author=who(author), because=because, settings=here)
    say(f"{device} " + (f"is {same_as} from now on." if same_as else "stands for itself again."))


def twins(
    device: Annotated[
        str | None, typer.Argument(help="A unit of an export; left out: all that wait.")
    ] = None,
    same_as: Annotated[
        str | None, typer.Argument(help="Which of several proposals is meant.")
    ] = None,
    *,
    accept: Annotated[bool, typer.Option("--accept", help="They are one unit.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="They are two; ask no more.")] = False,
    author: Author = None,
    json: Json = False,
) -> None:
    """Units that an export of another dose system knows under another key than DICOM.

    Where serial number, or station name and model, agree and are of one unit alone, they are
    joined at once, with the evidence in the timeline; the others wait here. `dose device join
    KEY` takes any link back.

    dose device twins
    dose device twins CT_OLD --accept
    dose device twins CT_OLD "Scanner 2" --refuse

    Exit codes: 0, 2 nothing of this name waits, 4 store.
    """
    import pandas as pd

    here = settings()
    con = dose_lib.connect(settings=here)
    if device is not None and accept != refuse:
        one = decide_twin(
            con, device, is_same=accept, same_as=same_as, author=who(author), settings=here
        )
        say(f"{one.device} is " + ("" if accept else "not ") + f"{one.same_device}.")
        return
    if device is not None or accept or refuse:
        raise UsageError("nothing was said", expected="a unit with --accept or --refuse")
    for one in link_sure_twins(con, settings=here):
        say(f"Joined: {one.device} ({one.device_key}) is {one.same_device}: {one.evidence}", to=err)
    rows = [(t.device, t.n_exams, t.same_device, t.match.value, t.evidence, t.device_key, t.same_as)
            for t in find_twins(con)]  # fmt: skip
    heads = ["device", "n_exams", "perhaps", "by", "evidence", "device_key", "same_as"]
    show_frame(pd.DataFrame(rows, columns=heads), json, empty="No unit of an export waits.")


def add_to(app: typer.Typer) -> None:
    """Put `dose device` into a command."""
    group = typer.Typer(no_args_is_help=True, help="Units: names, timeline, what is one unit.")
    for command_name, command in (
        ("list", list_units),
        ("name", name),
        ("timeline", timeline),
        ("event", event),
        ("join", join),
        ("twins", twins),
    ):
        group.command(command_name, help=help_of(command))(command)
    app.add_typer(group, name="device")
