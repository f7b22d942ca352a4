"""Every command, one module per family. Importing this package fills the table of commands."""

from server.commands import (
    admin,
    clients,
    configuration,
    connection,
    counters,
    info,
    introspection,
    keys,
    lcs,
    scan,
    strings,
    transactions,
)

__all__ = [
    "admin",
    "clients",
    "configuration",
    "connection",
    "counters",
    "info",
    "introspection",
    "keys",
    "lcs",
    "scan",
    "strings",
    "transactions",
]
