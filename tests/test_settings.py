"""Settings come from where operators put them, and a mistake is named in one line."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot.locale import translator
from lorabot.settings import Setting, Settings, SettingsError, environment_names, load_settings, settings_tree

FIXED_NAMES = {
    *("LORABOT_DATA_DIR", "LORABOT_DATABASE_URL", "LORABOT_REDIS_URL", "LORABOT_BLOB_URL"),
    *("LORABOT_WEB__HOST", "LORABOT_WEB__PORT", "LORABOT_WEB__PUBLIC_URL", "LORABOT_TRAINER__DEVICE"),
    *("LORABOT_DISCORD__TOKEN", "LORABOT_DISCORD__API_URL", "LORABOT_DISCORD__GATEWAY_URL"),
    *("LORABOT_TELEGRAM__TOKEN", "LORABOT_TELEGRAM__API_URL", "LORABOT_TELEGRAM__FILE_URL"),
}


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LORABOT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems(language: str = "en", config: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    lines = caught.value.lines(translator(language))
    assert all("\n" not in line and "{ $" not in line for line in lines)
    return lines


def test_everything_works_without_any_setting(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / "lorabot-data"
    assert settings.database == f"sqlite:///{tmp_path}/lorabot-data/lorabot.sqlite3"
    assert settings.blobs == f"file://{tmp_path}/lorabot-data/blobs"
    assert settings.redis is None
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert not settings.data_dir.exists()


def test_the_names_that_operators_rely_on_exist() -> None:
    assert set(environment_names()) >= FIXED_NAMES


@pytest.mark.parametrize("setting", settings_tree(), ids=lambda setting: setting.key)
def test_every_setting_is_described_in_one_line_and_has_a_default(setting: Setting) -> None:
    assert setting.description
    assert "\n" not in setting.description
    assert not setting.field.is_required()
    for language in ("en", "zh-CN"):
        assert not translator(language).text(setting.allowed).startswith("settings-")


@pytest.mark.parametrize("setting", settings_tree(), ids=lambda setting: setting.key)
def test_a_value_that_makes_no_sense_is_refused_by_name(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    if setting.allowed.code in {"settings-allowed-path", "settings-allowed-any"} or setting.key in {
        *("web.host", "web.password", "discord.token", "telegram.token"),
        *("telegram.webhook_host", "telegram.webhook_secret"),
    }:
        return  # any text will do
    monkeypatch.setenv(setting.variable, "no sense")
    (line,) = problems()
    assert line.startswith(f"{setting.variable} ")
    assert ("no sense" in line) != setting.is_secret
    assert translator("en").text(setting.allowed) in line


def test_the_environment_is_stronger_than_a_file_and_both_than_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lorabot.toml").write_text('language = "zh-CN"\n[web]\nport = 9001\nhost = "::1"\n')
    monkeypatch.setenv("LORABOT_WEB__PORT", "9002")
    settings = load_settings()
    assert (settings.language, settings.web.host, settings.web.port) == ("zh-CN", "::1", 9002)
    assert settings.web.link_hours == 24


def test_another_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lorabot.toml").write_text("[web]\nport = 1\n")
    (tmp_path / "one.toml").write_text("[web]\nport = 2\n")
    (tmp_path / "two.toml").write_text("[web]\nport = 3\n")
    monkeypatch.setenv("LORABOT_CONFIG", str(tmp_path / "one.toml"))
    assert load_settings().web.port == 2
    assert load_settings(tmp_path / "two.toml").web.port == 3


def test_a_named_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_CONFIG", "nowhere.toml")
    (line,) = problems()
    assert "nowhere.toml" in line
    assert "No such file" in line


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "lorabot.toml").write_text("[web]\nport 9\n")
    (line,) = problems()
    assert "lorabot.toml" in line
    assert "line 2" in line


def test_an_empty_value_counts_as_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN", "")
    monkeypatch.setenv("LORABOT_WEB__PORT", "")
    monkeypatch.setenv("LORABOT_CONFIG", "")
    monkeypatch.setenv("LORABOT_TELEGRAM__TOKEN_FILE", "")
    (tmp_path / "lorabot.toml").write_text('[telegram]\ntoken = ""\n')
    settings = load_settings()
    assert settings.discord.token is None
    assert settings.telegram.token is None
    assert settings.web.port == 8080


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("abc.def\n")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("LORABOT_TELEGRAM__TOKEN_FILE", str(tmp_path / "empty"))
    settings = load_settings()
    assert settings.discord.token == SecretStr("abc.def")
    assert settings.telegram.token is None


def test_a_secret_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN_FILE", "nowhere")
    monkeypatch.setenv("LORABOT_TELEGRAM__TOKEN_FILE", "binary")
    lines = problems()
    assert [line.split()[0] for line in lines] == ["LORABOT_DISCORD__TOKEN_FILE", "LORABOT_TELEGRAM__TOKEN_FILE"]


def test_a_secret_and_its_file_together_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("abc.def")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN_FILE", "token")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN", "xyz.uvw")
    (line,) = problems()
    assert "LORABOT_DISCORD__TOKEN and LORABOT_DISCORD__TOKEN_FILE" in line
    assert "abc" not in line
    assert "xyz" not in line


def test_only_secrets_have_a_file_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_WEB__PORT_FILE", "port")
    (line,) = problems()
    assert "LORABOT_WEB__PORT?" in line


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("LORABOT_WEB__PORT", "99999", "a whole number from 0 to 65535"),
        ("LORABOT_WEB__PORT", "http", "a whole number from 0 to 65535"),
        ("LORABOT_WEB__LINK_HOURS", "0", "a number above 0 and up to 8760"),
        ("LORABOT_WEB__LINK_HOURS", "nan", "a number above 0 and up to 8760"),
        ("LORABOT_QUEUE__TICKET_EXPIRY_S", "inf", "a number from 60 on"),
        ("LORABOT_LANGUAGE", "de", "one of en, zh-CN"),
        ("LORABOT_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("LORABOT_TRAINER__DEVICE", "gpu0", "Where to train: auto, cpu, cuda"),
        ("LORABOT_DISCORD__API_URL", "ftp://x", "starts with http:// or https://"),
        ("LORABOT_DISCORD__GATEWAY_URL", "https://x", "starts with ws:// or wss://"),
        ("LORABOT_WEB__PUBLIC_URL", "chat.example.org", "starts with http:// or https://"),
        ("LORABOT_WEB__PUBLIC_URL", "https://example.org/lorabot", "no path behind the host"),
    ],
)
def test_a_wrong_value_is_one_line_with_name_value_and_what_is_allowed(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = problems()
    assert line.startswith(f'{variable} is "{value}"')
    assert allowed in line
    (chinese,) = problems("zh-CN")
    assert variable in chinese
    assert value in chinese
    assert "应为" in chinese


def test_gigabytes_taken_for_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_TRAINER__MEMORY_LIMIT", "24")
    (line,) = problems()
    assert "memory_limit is a share up to 1, or bytes from 1073741824 on" in line


def test_a_wrong_value_in_the_file_is_named_by_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "lorabot.toml").write_text("[web]\nport = 99999\n")
    (line,) = problems()
    assert line.startswith('lorabot.toml: web.port is "99999"')


def test_all_mistakes_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_WEB__PORT", "x")
    monkeypatch.setenv("LORABOT_TRAINER__DEVICE", "x")
    assert len(problems()) == 2
    monkeypatch.setenv("LORABOT_WEB__PRT", "1")
    monkeypatch.setenv("LORABOT_DATADIR", "1")
    assert len(problems()) == 4


def test_mistakes_of_all_kinds_are_named_together_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lorabot.toml").write_text(
        'langauge = "en"\nintake = 3\n[web]\nprot = 1\nport = "many"\n[bto]\nx = 1\n[trainer]\ndevice = "x"\n'
    )
    monkeypatch.setenv("LORABOT_WEB__PROT", "1")
    monkeypatch.setenv("LORABOT_LANGAUGE", "en")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN_FILE", "nowhere")
    monkeypatch.setenv("LORABOT_QUEUE_LIMIT", "-")
    lines = problems()
    named = ["LORABOT_LANGAUGE", "LORABOT_QUEUE_LIMIT", "LORABOT_WEB__PROT", "langauge", "intake", "web.prot", "bto"]
    for name in (*named, "LORABOT_DISCORD__TOKEN_FILE", "lorabot.toml: web.port", "lorabot.toml: trainer.device"):
        assert sum(name in line for line in lines) == 1, (name, lines)
    assert len(lines) == 10


def test_settings_that_contradict_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_QUEUE__LEASE_S", "1")
    monkeypatch.setenv("LORABOT_QUEUE__HEARTBEAT_S", "5")
    (line,) = problems()
    assert line.startswith("LORABOT_QUEUE: ")
    assert "heartbeat_s" in line


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("LORABOT_SECRET", "s3cr3t", "at least 16 characters"),
        ("LORABOT_DATABASE_URL", "mysql://me:s3cr3t@host/x", "sqlite:// or postgresql://"),
        ("LORABOT_DATABASE_URL", "s3cr3t", "postgresql://"),
        ("LORABOT_REDIS_URL", "http://me:s3cr3t@host", "redis://"),
        ("LORABOT_REDIS_URL", "redis://me:s3cr3t@host:port", "redis://"),
        ("LORABOT_BLOB_URL", "s3://me:s3cr3t@bucket", "AWS_ACCESS_KEY_ID"),
        ("LORABOT_BLOB_URL", "gs://bucket/?key=s3cr3t", "s3://"),
    ],
)
def test_a_secret_is_never_shown(variable: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = caught.value.lines(translator("en"))
    assert line.startswith(variable)
    assert shown in line
    assert "s3cr3t" not in line
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_is_printed_of_the_settings_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_SECRET", "s3cr3t-s3cr3t-s3cr3t")
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN", "s3cr3t")
    monkeypatch.setenv("LORABOT_WEB__PASSWORD", "s3cr3t")
    monkeypatch.setenv("LORABOT_DATABASE_URL", "postgresql://me:s3cr3t@host/x")
    monkeypatch.setenv("LORABOT_REDIS_URL", "redis://me:s3cr3t@host")
    settings = load_settings()
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in settings.model_dump_json()
    assert settings.database == "postgresql://me:s3cr3t@host/x"
    assert set(settings.secrets()) >= {"s3cr3t", "s3cr3t-s3cr3t-s3cr3t", "redis://me:s3cr3t@host"}


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("LORABOT_WEB_PORT", "LORABOT_WEB__PORT"),
        ("LORABOT_DISCORD_TOKEN", "LORABOT_DISCORD__TOKEN"),
        ("LORABOT_DATADIR", "LORABOT_DATA_DIR"),
        ("LORABOT_TRAINER__DEVICES", "LORABOT_TRAINER__DEVICE"),
        ("LORABOT_WEB", "LORABOT_WEB__"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_the_nearest_name(
    variable: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("1", "x"):
        monkeypatch.setenv(variable, value)
        (line,) = problems()
    assert variable in line
    assert nearest in line.removeprefix(f"There is no setting {variable}.")


def test_a_variable_like_no_setting_points_to_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_XYZZY_QUUX_GARPLY", "1")
    assert "docs/settings.md" in problems()[0]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[web]\nprt = 1\n", "web.port"),
        ("prot = 1\n", "no setting prot"),
        ("datadir = 1\n", "mean data_dir?"),
        ("[webb]\nport = 1\n", "mean web?"),
        ("web = 1\n", "web is a section; its settings stand below a line [web]"),
        ("[trainer.device]\nname = 1\n", 'trainer.device is "'),
    ],
)
def test_an_unknown_key_of_the_file_is_an_error(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "lorabot.toml").write_text(text)
    (line,) = problems()
    assert line.startswith("lorabot.toml: ")
    assert named in line


def test_names_in_the_environment_may_be_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("lorabot_web__port", "77")
    assert load_settings().web.port == 77


def test_variables_of_the_tests_are_nobodys_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_TEST_ANYTHING", "1")
    load_settings()


def test_a_data_folder_with_odd_characters_makes_good_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lorabot.queue.blobs import open_blobs
    from lorabot.queue.database import parse_database_url, sqlite_file

    folder = tmp_path / "a b#c?d%20é"
    monkeypatch.setenv("LORABOT_DATA_DIR", str(folder))
    settings = load_settings()
    assert sqlite_file(parse_database_url(settings.database)) == folder / "lorabot.sqlite3"
    open_blobs(settings.blobs)
    assert (folder / "blobs").is_dir()


def test_the_signing_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = load_settings()
    with ThreadPoolExecutor(8) as pool:
        made = {secret.get_secret_value() for secret in pool.map(lambda _: settings.signing_secret(), range(32))}
    assert len(made) == 1
    assert len(made.pop()) >= 32
    path = tmp_path / "lorabot-data" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Settings().signing_secret() == settings.signing_secret()


def test_a_signing_secret_that_is_set_is_used_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORABOT_SECRET", "0123456789abcdef")
    assert load_settings().signing_secret() == SecretStr("0123456789abcdef")
    assert not (tmp_path / "lorabot-data").exists()


@pytest.mark.parametrize(
    ("given", "read"), [("12, 345", (12, 345)), ("12 345", (12, 345)), ("12", (12,)), ("", ()), ("12,", (12,))]
)
def test_ids_are_listed_as_people_list_them(given: str, read: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_DISCORD__OPERATORS", given)
    assert load_settings().discord.operators == read


def test_ids_are_a_list_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "lorabot.toml").write_text("[telegram]\noperators = [12, 345]\n")
    assert load_settings().telegram.operators == (12, 345)


@pytest.mark.parametrize("given", ["127.0.0.1, 10.1.2.3/8 ::1", '["127.0.0.1", "10.0.0.0/8", "::1"]'])
def test_trusted_proxies_are_listed_by_address_or_network_in_both_places(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given.startswith("["):
        (tmp_path / "lorabot.toml").write_text(f"[web]\ntrusted_proxies = {given}\n")
    else:
        monkeypatch.setenv("LORABOT_WEB__TRUSTED_PROXIES", given)
    read = [str(network) for network in load_settings().web.trusted_proxies]
    assert read == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]


def test_a_proxy_that_is_named_by_a_word_is_refused_with_what_may_stand_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_WEB__TRUSTED_PROXIES", "127.0.0.1, nginx")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = caught.value.lines(translator("en"))
    assert "LORABOT_WEB__TRUSTED_PROXIES" in line
    assert "10.0.0.0/8" in line


def test_base_models_are_sections_in_the_file_and_json_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lorabot.toml").write_text(
        '[[bases]]\nid = "pony"\ntitle = "Pony"\nsource = "./pony.safetensors"\nclip_skip = 2\n'
    )
    (pony,) = load_settings().bases
    assert (pony.id, pony.title, pony.source, pony.clip_skip, pony.family) == (
        "pony", "Pony", "./pony.safetensors", 2, None,
    )  # fmt: skip
    monkeypatch.setenv("LORABOT_BASES", '[{"id": "xl", "title": "XL", "source": "org/xl", "family": "sdxl"}]')
    assert [base.id for base in load_settings().bases] == ["xl"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"family": "sd16"}, 'LORABOT_BASES[0].family is "sd16", but it must be one of sd15, sd21, sdxl.'),
        ({"prediction": "v"}, 'LORABOT_BASES[0].prediction is "v", but it must be one of epsilon, v_prediction.'),
        ({"clip_skip": 0}, 'LORABOT_BASES[0].clip_skip is "0", but it must be a whole number from 1 to 12.'),
        ({"clip_skip": 1, "family": "sdxl"}, "LORABOT_BASES[0]: clip_skip 1 does not exist for sdxl"),
        ({"famly": "sdxl"}, "LORABOT_BASES[0]: there is no setting famly. Did you mean family?"),
        ({"id": "My Base"}, 'LORABOT_BASES[0].id is "My Base", but it must be of the form'),
        ({"id": "demo"}, "LORABOT_BASES[0]: the id demo is the built-in base model's; choose another."),
        ({"title": None}, "LORABOT_BASES[0].title is missing; it must be"),
        ({"source": "org/name"}, "LORABOT_BASES[0]: family is needed where the source (org/name) is on the hub"),
    ],
)
def test_a_mistake_in_a_base_model_names_the_field_and_what_it_may_be(
    change: dict[str, object], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"id": "mine", "title": "Mine", "source": "./mine.safetensors", **change}
    given = {name: value for name, value in values.items() if value is not None}
    monkeypatch.setenv("LORABOT_BASES", json.dumps([given]))
    assert [told[: len(line)] for told in problems()] == [line]


def test_two_base_models_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_BASES", json.dumps([{"id": "a", "title": "A", "source": "./a"}] * 2))
    assert problems() == ["LORABOT_BASES: two base models have the id a; give one of them another."]


@pytest.mark.parametrize("given", ["ann", "12, ann", "-3", "[1, 2]", "1.5"])
def test_an_id_that_is_none_is_refused_in_one_line(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_TELEGRAM__OPERATORS", given)
    (line,) = problems()
    assert given in line
    assert "numbers between commas" in line
