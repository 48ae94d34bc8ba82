"""What the writer applies at this site: by its settings, its files and its decisions."""

from __future__ import annotations

from importlib.resources import files

import duckdb

from dose_lib.settings import Settings
from dose_lib.store import naming
from dose_lib.store.making import Merge, Rules
from dose_lib.store.people import Gone
from dose_lib.store.transaction import transaction


def prepare(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make the views anew and write the settings they obey."""
    with transaction(con):
        con.execute(files("dose_lib.store").joinpath("views.sql").read_text(encoding="utf-8"))
        con.execute("DELETE FROM site_setting")
        con.execute(
            "INSERT INTO site_setting"
            " VALUES ('show_operators', ?), ('site_name', ?), ('timezone', ?)",
            [settings.show_operators, settings.site_name, settings.timezone],
        )


def default_merge() -> Merge:
    """The report-set rules."""
    from dose_lib.dicom.merge import merge

    return merge


def site_rules(
    settings: Settings,
    con: duckdb.DuckDBPyConnection,
    merge: Merge,
    gone: Gone | None = None,
) -> Rules:
    """The site's steps by its files and by the decisions in the store."""
    from dose_lib.derived import derive_part, dose_factors
    from dose_lib.normalise import normalise_part, read_site

    site = read_site(settings, naming.decisions_of(con, *naming.KINDS, "device_name"))
    factors = dose_factors(settings.effective_dose_factors)
    adult = settings.child_age_y
    return Rules(
        merge,
        lambda part: normalise_part(part, site),
        gone or Gone({}, {}),
        lambda part, others: derive_part(part, others, factors=factors, adult_age_y=adult),
        adult,
    )
