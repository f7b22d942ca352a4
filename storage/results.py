"""Reading rows of the MySQL text protocol: the driver's reader, without its work per column.

PyMySQL decodes a row by a chain of calls per packet and per column; half of a storage worker's CPU went there.  The
columns of our tables are integers and bytes only, so a row is decoded in one loop.
"""

from __future__ import annotations

from typing import Any

from pymysql import err
from pymysql.connections import MySQLResult
from pymysql.constants import CR, FIELD_TYPE
from pymysql.protocol import MysqlPacket

_INTEGERS = (FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR)
_FLOATS = (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE, FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL)
#: By a column's type code, what makes its value of the text; None leaves the bytes.
_KINDS: list[Any] = [None] * 256
for _code in _INTEGERS:
    _KINDS[_code] = int
for _code in _FLOATS:
    _KINDS[_code] = float
#: A column's description ends with type (1 byte), flags (2), decimals (1) and a filler (2).
_TYPE_FROM_END = -6
_MAX_PACKET = 0xFFFFFF
_EOF, _ERROR = 0xFE, 0xFF


class RowResult(MySQLResult):
    """A buffered result whose rows are tuples of int, float, bytes and None; `description` is not kept."""

    connection: Any

    def _get_descriptions(self) -> None:
        connection = self.connection
        self._kinds = [_KINDS[_read_packet(connection)[_TYPE_FROM_END]] for _ in range(self.field_count)]
        _read_packet(connection)

    def _read_rowdata_packet(self) -> None:
        connection = self.connection
        rows: list[tuple[Any, ...]] = []
        reader = connection._rfile
        kinds = self._kinds
        while True:
            # Whole packets that lie in the reader's buffer are taken from there without a call for each.
            buffered = reader.peek(1)
            taken, number = _decode_buffered(buffered, connection._next_seq_id, kinds, rows)
            if taken:
                reader.read(taken)
                connection._next_seq_id = number
            data = _read_packet(connection)
            first = data[0]
            if first == _EOF and len(data) < 9:
                self._check_packet_is_eof(MysqlPacket(data, connection.encoding))
                break
            if first == _ERROR:
                MysqlPacket(data, connection.encoding).raise_for_error()
            rows.append(_decode(data, 0, kinds))
        self.connection = None  # the driver does so too: it breaks a reference cycle
        self.affected_rows = len(rows)
        self.rows = tuple(rows)


def _decode_buffered(buffered: bytes, number: int, kinds: list[Any], rows: list[tuple[Any, ...]]) -> tuple[int, int]:
    """Decode the plain row packets at the front of a buffer; (bytes taken, number of the packet to come).

    Stops at the first packet that is not whole, not a plain row (the end, an error), or out of sequence.
    """
    position, available = 0, len(buffered)
    while position + 4 < available:
        end = position + 4 + (buffered[position] | buffered[position + 1] << 8 | buffered[position + 2] << 16)
        if end > available or buffered[position + 4] >= _EOF or buffered[position + 3] != number:
            break
        rows.append(_decode(buffered, position + 4, kinds))
        number = (number + 1) & 0xFF
        position = end
    return position, number


def _decode(data: bytes, position: int, kinds: list[Any]) -> tuple[Any, ...]:
    """The columns of one row that starts at `position`: texts with their lengths in front, 251 for NULL."""
    row: list[Any] = []
    for kind in kinds:
        length = data[position]
        position += 1
        if length < 251:
            end = position + length
        elif length == 251:
            row.append(None)
            continue
        else:
            size = 2 if length == 252 else 3 if length == 253 else 8
            length = int.from_bytes(data[position : position + size], "little")
            position += size
            end = position + length
        row.append(data[position:end] if kind is None else kind(data[position:end]))
        position = end
    return tuple(row)


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
