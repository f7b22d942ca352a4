"""The elements of lists, sets, sorted sets, hashes and streams.

Every table begins its primary key with the id of the key that owns the rows, so that a whole collection is given away
by changing one number and reaped in order.  `chunks`, where it is not 0, is the id in rowdis_string_chunk of what is
too long for the row.  `docs/storage.md` describes the tables for people.
"""

from __future__ import annotations

# -- views for people; keys and fields that have expired are not shown

# Of what is too long for a row the beginning is shown: the first chunk, behind the length of the first field.
_BEGINNING = "SUBSTRING(c.data, 9, CAST(CONV(HEX(SUBSTRING(c.data, 1, 8)), 16, 10) AS UNSIGNED))"
_ELEMENTS = """
        FROM rowdis_space s JOIN rowdis_key k ON k.space = s.space
            JOIN rowdis_{table} e ON e.key_id = k.key_id
            LEFT JOIN rowdis_string_chunk c ON c.key_id = e.chunks AND c.n = 0
        WHERE k.type = {type} AND (k.expire_at IS NULL OR k.expire_at > UNIX_TIMESTAMP(NOW(3)) * 1000)"""
_GROUPS = """
        FROM rowdis_space s JOIN rowdis_key k ON k.space = s.space
            JOIN rowdis_stream_group g ON g.key_id = k.key_id"""
_LIVE_STREAM = """
        WHERE k.type = 6 AND (k.expire_at IS NULL OR k.expire_at > UNIX_TIMESTAMP(NOW(3)) * 1000)"""

# The bits of a score without its sign (storage/scores.py): 11 of the exponent and 52 of the fraction, which has a 53rd
# in front unless the exponent is 0. Integers below 2**53 and powers of two are doubles, and so is their product: it is
# exact. No DOUBLE column holds an infinity.
_BITS = "(CASE WHEN e.score < 0 THEN -(e.score + 1) ELSE e.score END)"
_EXPONENT = f"({_BITS} DIV 4503599627370496)"
_SIGNIFICAND = f"({_BITS} MOD 4503599627370496 + CASE WHEN {_EXPONENT} = 0 THEN 0 ELSE 4503599627370496 END)"
_SCORE = (
    f"CASE WHEN {_EXPONENT} = 2047 THEN NULL ELSE (CASE WHEN e.score < 0 THEN -1 ELSE 1 END) * {_SIGNIFICAND} "
    f"* POW(2, GREATEST({_EXPONENT}, 1) - 1075) END"
)

VIEWS: tuple[str, ...] = (
    # A value that is too long for a row is NULL; its bytes lie behind those of the field in rowdis_string_chunk.
    f"""CREATE OR REPLACE VIEW rowdis_v_hash AS
        SELECT s.db AS db, k.name AS name,
            CASE WHEN e.chunks = 0 THEN e.field ELSE {_BEGINNING} END AS field,
            CASE WHEN e.chunks = 0 THEN e.value ELSE NULL END AS value,
            CASE WHEN e.expire_at IS NULL THEN NULL ELSE FROM_UNIXTIME(e.expire_at / 1000) END AS expires,
            e.chunks AS chunks {_ELEMENTS.format(table="hash_field", type=5)}
            AND (e.expire_at IS NULL OR e.expire_at > UNIX_TIMESTAMP(NOW(3)) * 1000)""",
    # In the order of positions.
    f"""CREATE OR REPLACE VIEW rowdis_v_list AS
        SELECT s.db AS db, k.name AS name, e.position AS position,
            CASE WHEN e.chunks = 0 THEN e.value ELSE {_BEGINNING} END AS value,
            e.chunks AS chunks {_ELEMENTS.format(table="list_item", type=2)}""",
    f"""CREATE OR REPLACE VIEW rowdis_v_set AS
        SELECT s.db AS db, k.name AS name,
            CASE WHEN e.chunks = 0 THEN e.member ELSE {_BEGINNING} END AS member,
            e.chunks AS chunks {_ELEMENTS.format(table="set_member", type=3)}""",
    # An infinite score is NULL, and infinity says which.
    f"""CREATE OR REPLACE VIEW rowdis_v_zset AS
        SELECT s.db AS db, k.name AS name,
            CASE WHEN e.chunks <> 0 THEN {_BEGINNING} WHEN e.tail IS NULL THEN e.head
                ELSE CONCAT(e.head, e.tail) END AS member,
            {_SCORE} AS score,
            CASE WHEN {_EXPONENT} < 2047 THEN NULL WHEN e.score < 0 THEN '-inf' ELSE 'inf' END AS infinity,
            e.chunks AS chunks {_ELEMENTS.format(table="zset_member", type=4)}""",
    # fields: field, value, field, value ..., each as its length, a colon, the bytes, a comma.
    f"""CREATE OR REPLACE VIEW rowdis_v_stream AS
        SELECT s.db AS db, k.name AS name, e.ms AS ms, e.seq AS seq, CONCAT(e.ms, '-', e.seq) AS id,
            CASE WHEN e.chunks = 0 THEN e.fields ELSE {_BEGINNING} END AS fields,
            e.chunks AS chunks {_ELEMENTS.format(table="stream_entry", type=6)}""",
    # A name that is too long for a row is NULL.
    f"""CREATE OR REPLACE VIEW rowdis_v_stream_group AS
        SELECT s.db AS db, k.name AS name, CASE WHEN g.chunks = 0 THEN g.name ELSE NULL END AS group_name,
            CONCAT(g.last_ms, '-', g.last_seq) AS last_id, g.entries_read AS entries_read, g.pending AS pending
        {_GROUPS}{_LIVE_STREAM}""",
    f"""CREATE OR REPLACE VIEW rowdis_v_stream_pending AS
        SELECT s.db AS db, k.name AS name, CASE WHEN g.chunks = 0 THEN g.name ELSE NULL END AS group_name,
            CASE WHEN o.chunks = 0 THEN o.name ELSE NULL END AS consumer,
            CONCAT(p.ms, '-', p.seq) AS id, FROM_UNIXTIME(p.delivered_at / 1000) AS delivered,
            p.deliveries AS deliveries
        {_GROUPS}
            JOIN rowdis_stream_pending p ON p.key_id = g.group_id
            JOIN rowdis_stream_consumer o ON o.key_id = g.group_id AND o.consumer_id = p.consumer_id{_LIVE_STREAM}""",
)

STATEMENTS: tuple[str, ...] = (
    # n numbers the fields of a hash in the order in which they came.
    """CREATE TABLE IF NOT EXISTS rowdis_hash_field (
        key_id BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        chunks BIGINT NOT NULL,
        field LONGBLOB NOT NULL,
        value LONGBLOB NOT NULL,
        n BIGINT NOT NULL,
        expire_at BIGINT NULL,
        PRIMARY KEY (key_id, digest))""",
    # Only fields that expire have a row here, so that the others do not pay for an index.
    """CREATE TABLE IF NOT EXISTS rowdis_field_expiry (
        key_id BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        PRIMARY KEY (key_id, expire_at, digest))""",
    # One row per hash with such fields: where its key is, and a time before which no field is due.
    """CREATE TABLE IF NOT EXISTS rowdis_hash_expiry (
        key_id BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        space BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        PRIMARY KEY (key_id, space),
        KEY rowdis_hash_expiry_order (expire_at, key_id))""",
    """CREATE TABLE IF NOT EXISTS rowdis_set_member (
        key_id BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        chunks BIGINT NOT NULL,
        member LONGBLOB NOT NULL,
        n BIGINT NOT NULL,
        PRIMARY KEY (key_id, digest))""",
    # score orders as the double does of which it is made (storage/scores.py); head is the member's first 64 bytes, tail
    # the rest, NULL if there is none; zero tells -0 from 0, which are equal in order.
    """CREATE TABLE IF NOT EXISTS rowdis_zset_member (
        key_id BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        chunks BIGINT NOT NULL,
        score BIGINT NOT NULL,
        head VARBINARY(64) NOT NULL,
        zero TINYINT NOT NULL,
        tail LONGBLOB NULL,
        PRIMARY KEY (key_id, digest),
        KEY rowdis_zset_order (key_id, score, head))""",
    """CREATE TABLE IF NOT EXISTS rowdis_list_item (
        key_id BIGINT NOT NULL,
        position BIGINT NOT NULL,
        chunks BIGINT NOT NULL,
        value LONGBLOB NOT NULL,
        PRIMARY KEY (key_id, position))""",
    # An entry's id is ms-seq. fields holds its fields and values in turn as netstrings: the length in decimal digits, a
    # colon, the bytes, a comma, so "4:name,3:Bob," is the field `name` with the value `Bob`.
    """CREATE TABLE IF NOT EXISTS rowdis_stream_entry (
        key_id BIGINT NOT NULL,
        ms BIGINT UNSIGNED NOT NULL,
        seq BIGINT UNSIGNED NOT NULL,
        chunks BIGINT NOT NULL,
        fields LONGBLOB NOT NULL,
        PRIMARY KEY (key_id, ms, seq))""",
    # group_id owns the rows of the two tables below: it is their key_id. entries_read is NULL where it is not known;
    # ahead is 1 if entries may be pending that lie behind the last one delivered (XGROUP SETID, XCLAIM FORCE).
    """CREATE TABLE IF NOT EXISTS rowdis_stream_group (
        key_id BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        chunks BIGINT NOT NULL,
        name LONGBLOB NOT NULL,
        group_id BIGINT NOT NULL,
        last_ms BIGINT UNSIGNED NOT NULL,
        last_seq BIGINT UNSIGNED NOT NULL,
        entries_read BIGINT NULL,
        pending BIGINT NOT NULL,
        ahead TINYINT NOT NULL,
        PRIMARY KEY (key_id, digest))""",
    # Times in milliseconds: when the consumer last asked for something, and when it was last given something.
    """CREATE TABLE IF NOT EXISTS rowdis_stream_consumer (
        key_id BIGINT NOT NULL,
        digest VARBINARY(16) NOT NULL,
        chunks BIGINT NOT NULL,
        name LONGBLOB NOT NULL,
        consumer_id BIGINT NOT NULL,
        seen_at BIGINT NOT NULL,
        active_at BIGINT NULL,
        PRIMARY KEY (key_id, digest))""",
    """CREATE TABLE IF NOT EXISTS rowdis_stream_pending (
        key_id BIGINT NOT NULL,
        ms BIGINT UNSIGNED NOT NULL,
        seq BIGINT UNSIGNED NOT NULL,
        consumer_id BIGINT NOT NULL,
        delivered_at BIGINT NOT NULL,
        deliveries BIGINT NOT NULL,
        PRIMARY KEY (key_id, ms, seq),
        KEY rowdis_stream_pending_consumer (key_id, consumer_id, ms, seq))""",
    *VIEWS,
)
