"""Database URLs: what they mean, what is refused, and that passwords do not leak."""

import ssl
from pathlib import Path

import pytest

from storage.engines import Target, Tls, parse_url
from storage.errors import BadTarget, StorageError


def test_mysql_url_names_host_port_account_and_database() -> None:
    target = parse_url("mysql://app:secret@db.example:3307/keys")
    assert target == Target(
        kind="mysql", user="app", password="secret", host="db.example", port=3307, database="keys", tls=Tls()
    )
    arguments = target.connect_arguments()
    assert arguments == {
        "host": "db.example",
        "port": 3307,
        "user": "app",
        "password": b"secret",
        "database": "keys",
    }


@pytest.mark.parametrize(
    ("url", "kind", "port"),
    [
        ("mysql://u@h/d", "mysql", 3306),
        ("mariadb://u@h/d", "mysql", 3306),
        ("MySQL://u@h/d", "mysql", 3306),
        ("oceanbase://u@h/d", "oceanbase", 2881),
        ("oceanbase://u@h:2883/d", "oceanbase", 2883),
    ],
)
def test_scheme_decides_kind_and_default_port(url: str, kind: str, port: int) -> None:
    target = parse_url(url)
    assert (target.kind, target.port) == (kind, port)


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("oceanbase://root@test:pw@ob/d", "root@test", "pw"),
        ("oceanbase://root@test#cluster:p@ss@ob/d", "root@test#cluster", "p@ss"),
        ("oceanbase://root%40test:pw@ob/d", "root@test", "pw"),
        ("mysql://u:a%2Fb%3Fc%25@ob/d", "u", "a/b?c%"),
        ("mysql://u:with:colons@ob/d", "u", "with:colons"),
        ("mysql://u:p%C3%A4ss+word@ob/d", "u", "päss+word"),
        ("mysql://u:@ob/d", "u", ""),
    ],
)
def test_account_is_all_before_the_last_at_sign(url: str, user: str, password: str) -> None:
    target = parse_url(url)
    assert (target.user, target.password, target.host) == (user, password, "ob")
    assert target.connect_arguments()["password"] == password.encode()


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [("[::1]", "::1", 3306), ("[fe80::1]:3307", "fe80::1", 3307), ("10.0.0.1", "10.0.0.1", 3306)],
)
def test_addresses_of_both_kinds(place: str, host: str, port: int) -> None:
    target = parse_url(f"mysql://u@{place}/d")
    assert (target.host, target.port) == (host, port)


def test_unix_socket_needs_no_host_and_no_tls() -> None:
    target = parse_url("mysql://u@/d?unix-socket=/run/my%20sql.sock")
    assert target.connect_arguments() == {
        "unix_socket": "/run/my sql.sock",
        "user": "u",
        "password": b"",
        "database": "d",
        "ssl_disabled": True,
    }


def test_embedded_url_is_a_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    target = parse_url("embedded:./rowdis-data")
    assert target.kind == "embedded"
    assert target.directory == tmp_path / "rowdis-data"
    assert target.unix_socket == str(tmp_path / "rowdis-data" / "run" / "sql.sock")
    assert target.display() == f"embedded:{tmp_path / 'rowdis-data'}"
    assert parse_url("embedded:///var/lib/rowdis").directory == Path("/var/lib/rowdis")
    assert parse_url("embedded:/a b%20c").directory == Path("/a b%20c")


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("", Tls("preferred")),
        ("?ssl-mode=disabled", Tls("disabled")),
        ("?ssl-mode=REQUIRED", Tls("required")),
        ("?ssl_mode=verify_ca", Tls("verify-ca")),
        ("?ssl-ca=/ca.pem", Tls("verify-identity", ca="/ca.pem")),
        ("?ssl-ca=/ca.pem&ssl-mode=verify-ca", Tls("verify-ca", ca="/ca.pem")),
        ("?ssl-cert=/c.pem&ssl-key=/k.pem", Tls("required", cert="/c.pem", key="/k.pem")),
    ],
)
def test_tls_options(query: str, tls: Tls) -> None:
    assert parse_url(f"mysql://u@h/d{query}").tls == tls


@pytest.mark.parametrize(
    ("mode", "check_hostname", "verify_mode"),
    [
        ("required", False, ssl.CERT_NONE),
        ("verify-ca", False, ssl.CERT_REQUIRED),
        ("verify-identity", True, ssl.CERT_REQUIRED),
    ],
)
def test_tls_modes_check_what_they_say(mode: str, check_hostname: bool, verify_mode: ssl.VerifyMode) -> None:
    target = parse_url(f"mysql://u@h/d?ssl-mode={mode}")
    context = target.connect_arguments()["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.check_hostname, context.verify_mode) == (check_hostname, verify_mode)
    assert target.connect_arguments()["ssl"] is context


def test_disabled_tls_reaches_the_driver() -> None:
    assert parse_url("mysql://u@h/d?ssl-mode=disabled").connect_arguments()["ssl_disabled"] is True


def test_missing_certificate_file_is_a_bad_target(tmp_path: Path) -> None:
    target = parse_url(f"mysql://u@h/d?ssl-ca={tmp_path}/none.pem")
    with pytest.raises(BadTarget, match="can not read the TLS files"):
        target.connect_arguments()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "it must look like"),
        ("redis://u@h/d", "it must look like"),
        ("mysql:u@h/d", "it must look like"),
        ("mysql://h/d", "no user"),
        ("mysql://:pw@h/d", "no user"),
        ("mysql://u:pw@h", "one database's name"),
        ("mysql://u:pw@h/", "one database's name"),
        ("mysql://u:pw@h/a/b", "one database's name"),
        ("mysql://u:pw@/d", "neither a host"),
        ("mysql://u:pw@h:0/d", "the port"),
        ("mysql://u:pw@h:65536/d", "the port"),
        ("mysql://u:pw@h:x/d", "the port"),
        ("mysql://u:pw@::1/d", "brackets"),
        ("mysql://u:pw@[::1/d", "IPv6"),
        ("mysql://u:pw@[::1]x/d", "IPv6"),
        ("mysql://u:pw@h/d?timeout=3", "unknown option 'timeout'"),
        ("mysql://u:pw@h/d?ssl-ca=a&ssl_ca=b", "given twice"),
        ("mysql://u:pw@h/d?ssl-ca=", "needs a value"),
        ("mysql://u:pw@h/d?ssl-mode=maybe", "ssl-mode must be one of"),
        ("mysql://u:pw@h/d?ssl-key=k", "ssl-key needs ssl-cert"),
        ("mysql://u:pw@h/d?ssl-ca=a&ssl-mode=disabled", "contradict"),
        ("mysql://u:pw%FF@h/d", "UTF-8"),
        ("embedded:", "needs a directory"),
        ("embedded://host/dir", "not a host"),
    ],
)
def test_bad_url_is_refused_without_telling_the_password(url: str, message: str) -> None:
    with pytest.raises(BadTarget, match=message) as caught:
        parse_url(url)
    assert "pw" not in str(caught.value)
    assert isinstance(caught.value, (ValueError, StorageError))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://app:secret@h:1/d", "mysql://app@h:1/d"),
        ("oceanbase://root@test:secret@h/d", "oceanbase://root@test@h:2881/d"),
        ("mysql://u:secret@[::1]/d", "mysql://u@[::1]:3306/d"),
        ("mysql://u:secret@/d?unix-socket=/s", "mysql://u@localhost/d?unix-socket=/s"),
    ],
)
def test_display_and_repr_hide_the_password(url: str, shown: str) -> None:
    target = parse_url(url)
    assert target.display() == shown
    assert "secret" not in repr(target)
    assert parse_url(shown).display() == shown
