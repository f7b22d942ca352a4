"""Where the database is: URLs, and what a driver needs to connect there.

A target is a MySQL or MariaDB server, an OceanBase tenant (MySQL mode), or a directory for the embedded engine, which
`storage.embedded` starts. This module opens no connections.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, unquote

from storage.errors import BadTarget

Kind = Literal["mysql", "oceanbase", "embedded"]
TlsMode = Literal["disabled", "preferred", "required", "verify-ca", "verify-identity"]

EMBEDDED_SCHEME: Final = "embedded:"
DEFAULT_DATABASE: Final = "rowdis"
SOCKET_IN_DIRECTORY: Final = Path("run", "sql.sock")

_KINDS: Final[Mapping[str, Kind]] = {"mysql": "mysql", "mariadb": "mysql", "oceanbase": "oceanbase"}
_DEFAULT_PORTS: Final[Mapping[Kind, int]] = {"mysql": 3306, "oceanbase": 2881}
_TLS_MODES: Final[Mapping[str, TlsMode]] = {
    "disabled": "disabled",
    "preferred": "preferred",
    "required": "required",
    "verify-ca": "verify-ca",
    "verify-identity": "verify-identity",
}
_OPTIONS: Final = ("unix-socket", "ssl-mode", "ssl-ca", "ssl-cert", "ssl-key")
_FORMS: Final = (
    "mysql://user:password@host:3306/database, oceanbase://user@tenant:password@host:2881/database"
    " or embedded:DIRECTORY"
)


@dataclass(frozen=True)
class Tls:
    """Encryption of the way to the database, in the words of MySQL's own clients.

    `preferred` encrypts when the server offers it and checks nothing; `required` insists on encryption; `verify-ca`
    also checks that the certificate was signed by `ca` (or by an authority that the system trusts), `verify-identity`
    that it is made out to the host connected to. `cert` and `key` are the client's own certificate.
    """

    mode: TlsMode = "preferred"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Target:
    """One database, and all that is needed to connect to it."""

    kind: Kind
    user: str
    database: str
    password: str = field(default="", repr=False)
    host: str = "localhost"
    port: int = 3306
    unix_socket: str | None = None
    tls: Tls = field(default_factory=Tls)
    directory: Path | None = None
    """Where the embedded engine keeps its data; None for servers."""

    def connect_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `pymysql.connect`: address, account, database, TLS; no timeouts, no session settings.

        Raises BadTarget when a TLS file can not be read.
        """
        arguments: dict[str, Any] = {
            "user": self.user,
            # As bytes: PyMySQL would encode text as Latin-1 and fail on other letters.
            "password": self.password.encode(),
            "database": self.database,
        }
        if self.unix_socket is not None:
            return arguments | {"unix_socket": self.unix_socket, "ssl_disabled": True}
        arguments |= {"host": self.host, "port": self.port}
        if self.tls.mode == "disabled":
            return arguments | {"ssl_disabled": True}
        if self.tls.mode == "preferred":
            return arguments  # what PyMySQL does when nothing is said
        return arguments | {"ssl": _tls_context(self.tls)}

    def display(self) -> str:
        """The target as a URL without its password, for logs and messages."""
        if self.directory is not None:
            return f"{EMBEDDED_SCHEME}{self.directory}"
        if self.unix_socket is not None:
            place, query = "localhost", f"?unix-socket={quote(self.unix_socket)}"
        else:
            place, query = f"[{self.host}]" if ":" in self.host else self.host, ""
            place += f":{self.port}"
        return f"{self.kind}://{quote(self.user, safe='@#')}@{place}/{quote(self.database)}{query}"


def parse_url(text: str) -> Target:
    """Understand a database URL; raises BadTarget with a message that does not repeat the password.

    User, password, database and option values may be percent-encoded; they have to be where they hold one of `/ ? %`,
    and the user where it holds a `:`. An OceanBase user is `user@tenant` or `user@tenant#cluster`, written as it is:
    the last `@` is the one before the host.
    """
    if text.lower().startswith(EMBEDDED_SCHEME):
        return _parse_embedded(text[len(EMBEDDED_SCHEME) :])
    scheme, separator, rest = text.partition("://")
    kind = _KINDS.get(scheme.lower())
    if not separator or kind is None:
        raise BadTarget(f"bad database URL: it must look like {_FORMS}")
    address, _, query = rest.partition("?")
    authority, _, database = address.partition("/")
    account, at, place = authority.rpartition("@")
    user, _, password = account.partition(":")
    if not at or not user:
        raise BadTarget(f"bad database URL: no user before the host ({scheme}://USER:PASSWORD@HOST/DATABASE)")
    if not database or "/" in database:
        raise BadTarget(
            f"bad database URL: it must end with one database's name ({scheme}://USER:PASSWORD@HOST/DATABASE)"
        )
    options = _parse_options(query)
    host, port = _parse_place(place, _DEFAULT_PORTS[kind])
    unix_socket = options.get("unix-socket")
    if not host and unix_socket is None:
        raise BadTarget("bad database URL: neither a host nor the option unix-socket")
    return Target(
        kind=kind,
        user=_decode(user),
        password=_decode(password),
        database=_decode(database),
        host=host or "localhost",
        port=port,
        unix_socket=unix_socket,
        tls=_tls(options),
    )


def embedded_target(directory: Path) -> Target:
    """The database of the embedded engine in `directory`, as it is once `storage.embedded` has started it."""
    # Absolute, since a daemon may change its working directory between reading its configuration and connecting.
    directory = directory.expanduser().absolute()
    return Target(
        kind="embedded",
        user="root",
        database=DEFAULT_DATABASE,
        unix_socket=str(directory / SOCKET_IN_DIRECTORY),
        directory=directory,
    )


def _parse_embedded(path: str) -> Target:
    # embedded:///var/lib/rowdis is what people write who think of it as a URL.
    if path.startswith("//"):
        path = path[2:]
        if path and not path.startswith("/"):
            raise BadTarget("bad database URL: embedded: takes a directory, not a host (embedded:DIRECTORY)")
    if not path or "\0" in path:
        raise BadTarget("bad database URL: embedded: needs a directory (embedded:DIRECTORY)")
    return embedded_target(Path(path))


def _parse_place(place: str, default_port: int) -> tuple[str, int]:
    """Split `host`, `host:port`, `[v6]` or `[v6]:port`."""
    if place.startswith("["):
        host, closing, port = place[1:].partition("]")
        if not closing or (port and not port.startswith(":")):
            raise BadTarget("bad database URL: malformed IPv6 address (it goes in brackets: [::1]:3306)")
        port = port[1:]
    else:
        host, _, port = place.partition(":")
        if ":" in port:
            raise BadTarget("bad database URL: an IPv6 address goes in brackets ([::1]:3306)")
    if not port:
        return _decode(host), default_port
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadTarget("bad database URL: the port must be a number from 1 to 65535")
    return _decode(host), int(port)


def _parse_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        # MySQL's own option files take underscores and dashes alike.
        name = name.lower().replace("_", "-")
        if name not in _OPTIONS:
            raise BadTarget(f"bad database URL: unknown option {name!r} (known: {', '.join(_OPTIONS)})")
        if name in options:
            raise BadTarget(f"bad database URL: option {name!r} is given twice")
        if not value:
            raise BadTarget(f"bad database URL: option {name!r} needs a value")
        options[name] = _decode(value)
    return options


def _tls(options: Mapping[str, str]) -> Tls:
    ca, cert, key = options.get("ssl-ca"), options.get("ssl-cert"), options.get("ssl-key")
    text = options.get("ssl-mode")
    if text is None:
        # Who names an authority or a certificate of his own wants TLS for certain.
        mode: TlsMode = "verify-identity" if ca else "required" if cert else "preferred"
    else:
        named = _TLS_MODES.get(text.lower().replace("_", "-"))
        if named is None:
            raise BadTarget(f"bad database URL: ssl-mode must be one of {', '.join(_TLS_MODES)}")
        mode = named
    if key and not cert:
        raise BadTarget("bad database URL: ssl-key needs ssl-cert")
    if mode in ("disabled", "preferred") and (ca or cert):
        raise BadTarget(f"bad database URL: ssl-ca, ssl-cert and ssl-key contradict ssl-mode={mode}")
    return Tls(mode=mode, ca=ca, cert=cert, key=key)


@lru_cache(maxsize=8)
def _tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for every connection to one target: building one reads and parses all trusted certificates."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise BadTarget(f"can not read the TLS files of the database URL: {error}") from error
    context.check_hostname = tls.mode == "verify-identity"
    context.verify_mode = ssl.CERT_NONE if tls.mode == "required" else ssl.CERT_REQUIRED
    # Certificates that MySQL makes for itself do not pass the strict check that Python 3.13 turned on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadTarget("bad database URL: percent-encoded bytes must be UTF-8") from None
