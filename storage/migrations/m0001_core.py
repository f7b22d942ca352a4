"""Keys, strings, and what the unit of work stands on.

Bytes are VARBINARY or BLOB, never text: no collation, any byte.  Digests are VARBINARY, since BINARY pads.  Times are
milliseconds since the epoch.  `docs/storage.md` describes the tables for people.
"""

from __future__ import annotations

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS rowdis_meta (
        name VARBINARY(64) NOT NULL,
        number BIGINT NOT NULL,
        PRIMARY KEY (name))""",
    """CREATE TABLE IF NOT EXISTS rowdis_sequence (
        name VARBINARY(64) NOT NULL,
        next BIGINT NOT NULL,
        PRIMARY KEY (name))""",
    """CREATE TABLE IF NOT EXISTS rowdis_instance (
        instance BIGINT NOT NULL,
        address VARBINARY(255) NOT NULL,
        started_at BIGINT NOT NULL,
        seen_at BIGINT NOT NULL,
        PRIMARY KEY (instance))""",
    # One row per storage worker: its copy of the map's epoch is what guards its units (see storage/spaces.py).
    """CREATE TABLE IF NOT EXISTS rowdis_worker (
        incarnation BIGINT NOT NULL,
        instance BIGINT NOT NULL,
        epoch BIGINT NOT NULL,
        PRIMARY KEY (incarnation))""",
    """CREATE TABLE IF NOT EXISTS rowdis_marker (
        incarnation BIGINT NOT NULL,
        unit BIGINT NOT NULL,
        attempt INT NOT NULL,
        PRIMARY KEY (incarnation, unit))""",
    """CREATE TABLE IF NOT EXISTS rowdis_space (
        db INT NOT NULL,
        space BIGINT NOT NULL,
        PRIMARY KEY (db))""",
    """CREATE TABLE IF NOT EXISTS rowdis_key (
        space BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        name LONGBLOB NOT NULL,
        key_id BIGINT NOT NULL,
        type TINYINT NOT NULL,
        version BIGINT NOT NULL,
        expire_at BIGINT NULL,
        size BIGINT NOT NULL,
        value LONGBLOB NULL,
        orphan BIGINT NOT NULL DEFAULT 0,
        PRIMARY KEY (space, digest),
        KEY rowdis_key_expiry (expire_at))""",
    """CREATE TABLE IF NOT EXISTS rowdis_string_chunk (
        key_id BIGINT NOT NULL,
        n INT NOT NULL,
        data LONGBLOB NOT NULL,
        PRIMARY KEY (key_id, n))""",
    # kind 0: the elements of a key that is gone (id is its key_id); kind 1: a whole space that FLUSHDB replaced.
    """CREATE TABLE IF NOT EXISTS rowdis_garbage (
        kind TINYINT NOT NULL,
        id BIGINT NOT NULL,
        since BIGINT NOT NULL,
        PRIMARY KEY (kind, id))""",
    "INSERT IGNORE INTO rowdis_meta (name, number) VALUES ('epoch', 1)",
    "INSERT IGNORE INTO rowdis_sequence (name, next) VALUES ('id', 1000000)",
    """CREATE OR REPLACE VIEW rowdis_v_key AS
        SELECT s.db AS db, k.name AS name,
            CASE k.type WHEN 1 THEN 'string' WHEN 2 THEN 'list' WHEN 3 THEN 'set'
                        WHEN 4 THEN 'zset' WHEN 5 THEN 'hash' WHEN 6 THEN 'stream' ELSE 'unknown' END AS type,
            k.size AS size,
            CASE WHEN k.expire_at IS NULL THEN NULL ELSE FROM_UNIXTIME(k.expire_at / 1000) END AS expires,
            k.key_id AS key_id
        FROM rowdis_space s JOIN rowdis_key k ON k.space = s.space
        WHERE k.type > 0 AND (k.expire_at IS NULL OR k.expire_at > UNIX_TIMESTAMP(NOW(3)) * 1000)""",
    """CREATE OR REPLACE VIEW rowdis_v_string AS
        SELECT s.db AS db, k.name AS name, k.size AS size,
            CASE WHEN k.key_id = 0 THEN 0 ELSE c.n END AS chunk,
            CASE WHEN k.key_id = 0 THEN k.value ELSE c.data END AS value
        FROM rowdis_space s JOIN rowdis_key k ON k.space = s.space
            LEFT JOIN rowdis_string_chunk c ON c.key_id = k.key_id AND k.key_id <> 0
        WHERE k.type = 1 AND (k.expire_at IS NULL OR k.expire_at > UNIX_TIMESTAMP(NOW(3)) * 1000)""",
)
