"""TLS to a real database server by URL: what is verified, what is refused, and with which words."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.database import Database
from storage.dialect import Limits
from storage.engines import parse_url
from storage.errors import BadTarget, StorageError
from tests.conftest import services
from tests.services.mariadb import MariaDB
from tests.services.process import find_program, wait_until
from tests.services.rowdis import Rowdis

NAME = "localhost"
"""The only name that the server's certificate is made out to."""


@dataclass(frozen=True)
class Authority:
    """Signs certificates with the openssl program."""

    directory: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.directory / f"{self.name}.pem"

    @property
    def key(self) -> Path:
        return self.directory / f"{self.name}-key.pem"

    def create(self) -> "Authority":
        self._openssl("req", "-x509", *_new_key(self.key), "-subj", f"/CN={self.name}", "-days", "2",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-out", str(self.certificate))  # fmt: skip
        return self

    def sign(self, subject: str, *, alternative: str | None = None) -> tuple[Path, Path]:
        """A certificate for a subject, valid from now on, and its key."""
        certificate, key, request = (self.directory / f"{self.name}-{subject}{end}" for end in (".pem", ".key", ".csr"))
        self._openssl("req", *_new_key(key), "-subj", f"/CN={subject}", "-out", str(request))
        extension = self.directory / f"{subject}.ext"
        extension.write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        signing = ("-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-days", "2")
        self._openssl("x509", "-req", "-in", str(request), *signing, "-extfile", str(extension),
                      "-out", str(certificate))  # fmt: skip
        return certificate, key

    def _openssl(self, *words: str) -> None:
        done = subprocess.run([find_program("openssl"), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    with services():
        find_program("openssl")
    return Authority(tmp_path_factory.mktemp("tls"), "authority").create()


@pytest.fixture(scope="module")
def stranger(authority: Authority) -> Authority:
    """An authority that has signed nothing of the server's."""
    return Authority(authority.directory, "stranger").create()


@pytest.fixture(scope="module")
def encrypted(authority: Authority) -> Iterator[MariaDB]:
    """A server that takes connections over TLS only, except through its Unix socket."""
    certificate, key = authority.sign("server", alternative=f"DNS:{NAME}")
    options = [f"--ssl-ca={authority.certificate}", f"--ssl-cert={certificate}", f"--ssl-key={key}",
               "--require-secure-transport=ON"]  # fmt: skip
    with services():
        server = MariaDB(options=options).start()
    try:
        server.create_database("tls")
        server.execute("CREATE USER certified@'%' IDENTIFIED BY 'pw' REQUIRE X509")
        server.execute("GRANT ALL ON tls.* TO certified@'%'")
        yield server
    finally:
        server.stop()


def url(server: MariaDB, options: str, *, host: str = NAME, account: str | None = None) -> str:
    plain = server.url("tls")
    if account is not None:
        plain = f"mysql://{account}@127.0.0.1:{server.port}/tls"
    return f"{plain.replace('127.0.0.1', host)}?{options}"


def cipher(address: str) -> bytes:
    """What the session is encrypted with, b"" if it is not. StorageError if there is no connection."""
    database = Database(parse_url(address), size=1, limits=Limits(statement_ms=10_000, lock_wait_ms=2000))
    try:
        with database.session() as connection:
            (row,) = connection.fetch("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            return bytes(row[1])
    finally:
        database.close_all()


def test_each_way_of_encrypting_encrypts(encrypted: MariaDB, authority: Authority) -> None:
    ca = f"ssl-ca={authority.certificate}"
    for options in ("ssl-mode=preferred", "ssl-mode=required", f"ssl-mode=verify-ca&{ca}", ca):
        assert cipher(url(encrypted, options)).startswith((b"TLS_", b"ECDHE-")), options


@pytest.mark.parametrize("mode", ["verify-ca", "verify-identity"])
def test_a_certificate_that_the_named_authority_has_not_signed_is_refused(
    encrypted: MariaDB, stranger: Authority, mode: str
) -> None:
    with pytest.raises(BadTarget, match="the certificate of the database was refused: "):
        cipher(url(encrypted, f"ssl-mode={mode}&ssl-ca={stranger.certificate}"))


def test_without_an_authority_those_of_the_system_decide(encrypted: MariaDB) -> None:
    with pytest.raises(BadTarget, match="the certificate of the database was refused"):
        cipher(url(encrypted, "ssl-mode=verify-ca"))


def test_the_name_of_the_host_is_verified_where_it_shall_be(encrypted: MariaDB, authority: Authority) -> None:
    ca = f"ssl-ca={authority.certificate}"
    assert cipher(url(encrypted, f"ssl-mode=verify-identity&{ca}"))
    # The certificate says nothing of the address.
    assert cipher(url(encrypted, f"ssl-mode=verify-ca&{ca}", host="127.0.0.1"))
    with pytest.raises(BadTarget, match=r"the certificate of the database was refused: .*127\.0\.0\.1"):
        cipher(url(encrypted, f"ssl-mode=verify-identity&{ca}", host="127.0.0.1"))


def test_a_server_that_requires_tls_refuses_who_comes_without(encrypted: MariaDB) -> None:
    with pytest.raises(BadTarget, match="the database refused us"):
        cipher(url(encrypted, "ssl-mode=disabled"))


def test_an_account_that_requires_a_certificate_is_shown_ours(
    encrypted: MariaDB, authority: Authority, stranger: Authority
) -> None:
    certificate, key = authority.sign("client")
    address = url(encrypted, f"ssl-cert={certificate}&ssl-key={key}", account="certified:pw")
    assert cipher(address)
    for options in ("ssl-mode=required", "ssl-cert={}&ssl-key={}".format(*stranger.sign("other"))):
        with pytest.raises(StorageError):
            cipher(url(encrypted, options, account="certified:pw"))


@pytest.mark.parametrize("mode", ["required", "verify-ca", "verify-identity"])
def test_a_server_without_tls_is_refused_where_tls_is_wanted(
    mariadb: MariaDB, authority: Authority, mode: str
) -> None:
    mariadb.create_database("tls")
    ca = "" if mode == "required" else f"&ssl-ca={authority.certificate}"
    assert cipher(url(mariadb, "ssl-mode=preferred")) == b""
    with pytest.raises(BadTarget, match="the database offers no TLS"):
        cipher(url(mariadb, f"ssl-mode={mode}{ca}"))


def test_rowdis_serves_over_tls_and_refuses_a_stranger_with_one_clear_line(
    encrypted: MariaDB, authority: Authority, stranger: Authority
) -> None:
    with Rowdis(url(encrypted, f"ssl-ca={authority.certificate}")) as rowdis:
        assert rowdis.call("SET", "over", "TLS") == b"+OK\r\n"
        assert rowdis.call("GET", "over") == b"$3\r\nTLS\r\n"
    refused = Rowdis(url(encrypted, f"ssl-ca={stranger.certificate}"))
    try:
        process = refused.launch()
        # At once: nothing that waiting could mend.
        wait_until(lambda: not process.running, 20, "the program has ended")
        assert process.exit_code == 1
        lines = [line for line in refused.log().splitlines() if "certificate" in line]
        assert len(lines) == 1
        assert "the certificate of the database was refused: " in lines[0]
        assert "Traceback" not in refused.log()
    finally:
        refused.close()
