"""What can be checked of Dockerfile and docker-compose.yml without an engine: names, settings, and that they agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.directives import BY_NAME
from server.settings import load
from storage.engines import parse_url

ROOT = Path(__file__).resolve().parents[2]
ROWDIS_SERVICES = {"rowdis": "oceanbase", "rowdis-light": "seekdb"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(name, arguments) for name, arguments in pairs]


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def image_environment() -> dict[str, str]:
    pairs = re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', " ".join(arguments_of("ENV")))
    return {name: quoted or bare for name, quoted, bare in pairs}


def compose(**variables: str) -> Any:
    """The compose file with its variables put in, as Docker does (${NAME:-default})."""
    text = (ROOT / "docker-compose.yml").read_text()
    found = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: variables.get(match[1]) or match[2], text)
    assert "${" not in found
    return yaml.safe_load(found)


def seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([sm])", text)
    assert match
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


# Dockerfile


def test_the_image_is_built_in_two_stages_from_the_same_base() -> None:
    stages = arguments_of("FROM")
    assert stages == ["python:3.12-slim AS build", "python:3.12-slim"]


def test_what_is_copied_into_the_image_exists_and_is_not_ignored() -> None:
    ignored, *exceptions = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and line[0] in "*!" and "/" not in line
    ]
    assert ignored == "*"
    copied = [
        name for arguments in arguments_of("COPY") if "--from" not in arguments for name in arguments.split()[:-1]
    ]
    assert {"pyproject.toml", "server", "protocol", "storage"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in exceptions


def test_the_image_runs_rowdis_itself_without_rights_of_root() -> None:
    order = [name for name, _ in instructions()]
    assert arguments_of("USER") == ["rowdis"]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert json.loads(arguments_of("ENTRYPOINT")[0]) == ["rowdis"]
    assert arguments_of("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_asks_for_its_health_by_the_programs_own_ping() -> None:
    (check,) = arguments_of("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")
    assert json.loads(command) == ["rowdis", "ping"]
    assert all(re.fullmatch(r"--(interval|timeout|start-period|retries)=\d+s?", option) for option in options.split())


def test_the_environment_of_the_image_is_understood() -> None:
    settings = load([], image_environment())
    assert settings.protected_mode is False
    assert settings.bind == BY_NAME["bind"].default_value()
    assert arguments_of("EXPOSE") == [str(settings.port)]


def test_the_volume_is_where_the_embedded_engine_keeps_its_data() -> None:
    directory = parse_url(load([], image_environment()).database).directory
    assert directory is not None
    (work,) = [arguments for arguments in arguments_of("WORKDIR") if arguments != "/source"]
    assert arguments_of("VOLUME") == [f"{work}/{directory.name}"]
    assert f"{work}/{directory.name}" in " ".join(arguments_of("RUN"))


# docker-compose.yml


@pytest.mark.parametrize("service", ROWDIS_SERVICES)
def test_settings_in_the_compose_file_are_understood(service: str) -> None:
    environment = compose(ROWDIS_REQUIREPASS="secret")["services"][service]["environment"]
    settings = load([], image_environment() | environment)
    assert settings.requirepass == "secret"
    assert settings.warnings == []


@pytest.mark.parametrize(("service", "database"), ROWDIS_SERVICES.items())
def test_rowdis_waits_for_its_database_and_knows_its_way_there(service: str, database: str) -> None:
    variables = {"OB_TENANT_PASSWORD": "tenants", "SEEKDB_ROOT_PASSWORD": "roots"}
    services = compose(**variables)["services"]
    target = parse_url(services[service]["environment"]["ROWDIS_DATABASE"])
    environment = services[database]["environment"]
    assert services[service]["depends_on"] == {database: {"condition": "service_healthy"}}
    assert (target.kind, target.host, target.port) == ("oceanbase", database, 2881)
    if database == "oceanbase":
        assert target.user == f"root@{environment['OB_TENANT_NAME']}"
        assert target.password == environment["OB_TENANT_PASSWORD"] == "tenants"
        assert target.database == "test"
    else:
        assert target.user == "root"
        assert target.password == environment["ROOT_PASSWORD"] == "roots"
        assert target.database == environment["SEEKDB_DATABASE"]


@pytest.mark.parametrize(
    ("database", "user", "password"),
    [("oceanbase", "root@test", "OB_TENANT_PASSWORD"), ("seekdb", "root", "ROOT_PASSWORD")],
)
def test_databases_are_healthy_when_a_login_with_the_password_works(database: str, user: str, password: str) -> None:
    service = compose()["services"][database]
    form, command = service["healthcheck"]["test"]
    assert form == "CMD-SHELL"
    assert f" -u{user} " in command
    assert " -P2881 " in command
    # $$ leaves the variable to the shell in the container, where its environment gives it.
    assert f'-p"$${password}"' in command
    assert set(re.findall(r"\$\$(\w+)", command)) <= set(service["environment"])


def test_profiles_keep_the_two_pairs_apart() -> None:
    services = compose()["services"]
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    assert profiles == {"rowdis": [], "oceanbase": [], "rowdis-light": ["light"], "seekdb": ["light"]}


def test_images_are_named_with_a_version() -> None:
    services = compose()["services"]
    assert re.fullmatch(r"oceanbase/oceanbase-ce:[\w.-]+", services["oceanbase"]["image"])
    assert re.fullmatch(r"oceanbase/seekdb:[\w.-]+", services["seekdb"]["image"])
    assert not any(service["image"].endswith(":latest") for service in services.values())


def test_volumes_are_declared_and_used() -> None:
    document = compose()
    used = {volume.split(":")[0] for service in document["services"].values() for volume in service.get("volumes", [])}
    assert used == set(document["volumes"])


@pytest.mark.parametrize("service", ROWDIS_SERVICES)
def test_rowdis_is_published_on_this_machine_only_and_may_end_in_peace(service: str) -> None:
    definition = compose()["services"][service]
    assert definition["ports"] == ["127.0.0.1:6379:6379"]
    assert definition["build"] == "."
    assert seconds(definition["stop_grace_period"]) > load([], {}).shutdown_timeout_s
