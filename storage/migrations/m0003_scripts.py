"""Scripts that were loaded to stay. `docs/storage.md` describes the table for people."""

from __future__ import annotations

STATEMENTS: tuple[str, ...] = (
    # sha: the SHA-1 of the body, 20 bytes.
    """CREATE TABLE IF NOT EXISTS rowdis_script (
        sha VARBINARY(20) NOT NULL,
        body LONGBLOB NOT NULL,
        PRIMARY KEY (sha))""",
    # Changes when all scripts are removed; it is checked with the map's epoch (storage/spaces.py).
    "INSERT IGNORE INTO rowdis_meta (name, number) VALUES ('scripts', 1)",
)
