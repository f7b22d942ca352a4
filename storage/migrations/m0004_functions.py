"""Libraries of functions. `docs/storage.md` describes the table for people."""

from __future__ import annotations

STATEMENTS: tuple[str, ...] = (
    # digest: of the name, as for keys (storage/key_rows.py).
    """CREATE TABLE IF NOT EXISTS rowdis_library (
        digest VARBINARY(16) NOT NULL,
        name LONGBLOB NOT NULL,
        code LONGBLOB NOT NULL,
        PRIMARY KEY (digest))""",
    # Changes with every change to the libraries; it is checked with the map's epoch (storage/spaces.py).
    "INSERT IGNORE INTO rowdis_meta (name, number) VALUES ('functions', 1)",
)
