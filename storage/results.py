"""Reading rows of the MySQL text protocol: the driver's reader, without its work per column.

PyMySQL decodes a row by a chain of calls per packet and per column; half of a storage worker's CPU went there.  The
columns of our tables are integers and bytes only, so a row is decoded in one loop.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from pymysql import err
from pymysql.connections import MySQLResult
from pymysql.constants import CR, FIELD_TYPE
from pymysql.protocol import MysqlPacket

_INTEGERS = frozenset(
    {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR}
)
_FLOATS = frozenset({FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE, FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})
_MAX_PACKET = 0xFFFFFF
_NULL, _TWO, _THREE, _EIGHT = 251, 252, 253, 254
_unpack_eight = Struct("<Q").unpack_from


class RowResult(MySQLResult):
    """A buffered result whose rows are tuples of int, float, bytes and None."""

    connection: Any

    def _get_descriptions(self) -> None:
        super()._get_descriptions()
        self._kinds = tuple(
            int if field.type_code in _INTEGERS else float if field.type_code in _FLOATS else None
            for field in self.fields
        )

    def _read_rowdata_packet(self) -> None:
        connection = self.connection
        kinds = self._kinds
        rows: list[tuple[Any, ...]] = []
        while True:
            data = _read_packet(connection)
            first = data[0]
            if first == _EIGHT and len(data) < 9:
                self._check_packet_is_eof(MysqlPacket(data, connection.encoding))
                break
            if first == 255:
                MysqlPacket(data, connection.encoding).raise_for_error()
            rows.append(_decode(data, kinds))
        self.connection = None  # the driver does so too: it breaks a reference cycle
        self.affected_rows = len(rows)
        self.rows = tuple(rows)


def _read_packet(connection: Any) -> bytes:
    """One packet's payload; packets of 16 MB and more come in pieces."""
    read = connection._rfile.read
    pieces: list[bytes] = []
    while True:
        try:
            header = read(4)
            length = int.from_bytes(header[:3], "little")
            data = read(length) if len(header) == 4 else b""
        except OSError as error:
            connection._force_close()
            raise err.OperationalError(CR.CR_SERVER_LOST, f"Lost connection during query ({error})") from error
        if len(header) < 4 or len(data) < length:
            connection._force_close()
            raise err.OperationalError(CR.CR_SERVER_LOST, "Lost connection during query")
        if header[3] != connection._next_seq_id:
            connection._force_close()
            raise err.OperationalError(CR.CR_SERVER_LOST, "Lost connection during query (packets out of order)")
        connection._next_seq_id = (header[3] + 1) & 0xFF
        if length < _MAX_PACKET and not pieces:
            return bytes(data)
        pieces.append(data)
        if length < _MAX_PACKET:
            return b"".join(pieces)


def _decode(data: bytes, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of one row packet; `kinds` says by column what makes the value of its text (None: bytes)."""
    row: list[Any] = []
    position = 0
    for kind in kinds:
        length = data[position]
        position += 1
        if length >= _NULL:
            if length == _NULL:
                row.append(None)
                continue
            if length == _TWO:
                length = data[position] | data[position + 1] << 8
                position += 2
            elif length == _THREE:
                length = int.from_bytes(data[position : position + 3], "little")
                position += 3
            else:
                (length,) = _unpack_eight(data, position)
                position += 8
        end = position + length
        value = data[position:end]
        row.append(kind(value) if kind is not None else value)
        position = end
    return tuple(row)
