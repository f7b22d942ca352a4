"""Requests as they may be shown (SLOWLOG, MONITOR): passwords replaced, by the rules of Redis."""

from __future__ import annotations

from collections.abc import Callable

from server.keyspecs import Request
from server.registry import Command

REDACTED = b"(redacted)"

#: Directives whose values are secrets, or hold one.
_SECRET_DIRECTIVES = frozenset(
    {b"requirepass", b"masterauth", b"tls-key-file-pass", b"tls-client-key-file-pass", b"database"}
)


def shown(command: Command, request: Request) -> Request:
    """The request with its secrets replaced; itself if it can not hold any."""
    secrets = _SECRETS.get(command.full_name)
    if secrets is None:
        return request
    hidden = secrets(request)
    return [REDACTED if place in hidden else word for place, word in enumerate(request)]


def _all_arguments(request: Request) -> set[int]:
    # Also where there are too many: Redis shows these, but one of them may well be the password.
    return set(range(1, len(request)))


def _login_of_hello(request: Request) -> set[int]:
    hidden: set[int] = set()
    place = 2
    while place < len(request):
        option = request[place].upper()
        if option == b"AUTH":
            hidden |= {place + 1, place + 2}
            place += 3
        else:
            place += 2 if option == b"SETNAME" else 1
    return hidden


def _values_of_secret_directives(request: Request) -> set[int]:
    return {place + 1 for place in range(2, len(request), 2) if request[place].lower() in _SECRET_DIRECTIVES}


def _login_of_migrate(request: Request) -> set[int]:
    hidden: set[int] = set()
    for place in range(6, len(request)):
        option = request[place].upper()
        if option == b"KEYS":
            break
        if option in (b"AUTH", b"AUTH2"):
            hidden |= {place + 1, place + 2} if option == b"AUTH2" else {place + 1}
    return hidden


_SECRETS: dict[str, Callable[[Request], set[int]]] = {
    "auth": _all_arguments,
    "acl|setuser": _all_arguments,
    "config|set": _values_of_secret_directives,
    "hello": _login_of_hello,
    "migrate": _login_of_migrate,
}
