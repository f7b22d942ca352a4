"""Every command, one module per family. Importing this package fills the table of commands."""

from server.commands import connection, strings

__all__ = ["connection", "strings"]
