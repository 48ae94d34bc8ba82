"""Settings: defaults, file, environment, and errors that name all three."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_lib.errors import SettingsError
from dose_lib.settings import Settings, load_settings


def test_every_setting_has_help() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_order_of_sources(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    (home / "doseloop.toml").write_text('site_name = "File"\nae_title = "FILE"\n')
    monkeypatch.setenv("DOSE_AE_TITLE", "ENV")
    found = load_settings(home, minimum_n=30)
    assert (found.site_name, found.ae_title, found.minimum_n) == ("File", "ENV", 30)


def test_an_unknown_setting_is_named_with_a_hint(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.config_file.write_text("dicom_prot = 104\n")
    with pytest.raises(SettingsError, match=r"doseloop\.toml.*dicom_prot.*dicom_port"):
        load_settings(settings.home)


def test_a_wrong_value_is_named_with_its_help(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"dicom_port = 70000 .*Port of the DICOM listener"):
        load_settings(settings.home, dicom_port=70000)


def test_a_wrong_zone_says_how_to_write_one(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="Europe/Berlin"):
        load_settings(settings.home, timezone="MEZ+1")


def test_a_broken_file_is_named(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.config_file.write_text("site_name = \n")
    with pytest.raises(SettingsError, match=r"doseloop\.toml.*TOML"):
        load_settings(settings.home)


def test_a_secret_never_stands_in_a_message(settings: Settings) -> None:
    secret = "sk-very-secret"
    loaded = load_settings(settings.home, llm_api_key=secret)
    assert secret not in repr(loaded)
    with pytest.raises(SettingsError) as caught:
        load_settings(settings.home, llm_api_key=[secret])
    assert secret not in str(caught.value)


def test_everything_lies_below_one_folder(settings: Settings) -> None:
    below = [
        getattr(settings, name)
        for name, value in vars(Settings).items()
        if isinstance(value, property) and name not in ("is_exposed",)
    ]
    assert below
    assert all(isinstance(p, Path) and settings.home in p.parents for p in below)


def test_exposure_is_noticed(settings: Settings) -> None:
    assert not settings.is_exposed
    assert load_settings(settings.home, health_host="0.0.0.0").is_exposed
