"""HyperLogLogs: strings that tell approximately how many distinct elements were added to them."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.replies import OK, Reply, Simple
from server.arguments import Args
from server.keyspecs import Keys, Request, one_key
from server.registry import Is, command, never
from server.session import Session
from server.typed import typed, typed_source
from storage import strings
from storage.cardinality import REGISTERS, estimate, histogram, union
from storage.effects import EventClass
from storage.hyperloglog import MAX_SIZE, HyperLogLog, NotAHyperLogLog, SelfTestFailed, self_test
from storage.hyperloglog_sparse import Damaged
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_SINCE = "2.8.9"
_COUNT_KEYS = (Keys(1, -1, 1, "RW access", "It may change how a value is written in Redis; here it only reads"),)
_MERGE_KEYS = (Keys(1, 1, 1, "RW access insert"), Keys(2, -1, 1, "RO access"))
_DEBUG_KEYS = (Keys(2, 2, 1, "RW access"),)

#: So much of a string is read; a longer one is no sound HyperLogLog.
_ENOUGH = MAX_SIZE + 1


def _damaged() -> CommandError:
    return CommandError(b"INVALIDOBJ Corrupted HLL object detected")


def _want_first(db: Keyspace, request: Request) -> None:
    strings.want(db, request[1], 0, _ENOUGH)


def _want_second(db: Keyspace, request: Request) -> None:
    strings.want(db, request[2], 0, _ENOUGH)


def _want_all(db: Keyspace, request: Request) -> None:
    for name in request[1:]:
        strings.want(db, name, 0, _ENOUGH)


def _read(db: Keyspace, row: KeyRow) -> HyperLogLog:
    """The value of a string. CommandError if it is no HyperLogLog."""
    try:
        return HyperLogLog(strings.read_range(db, row, 0, min(row.size, _ENOUGH)))
    except NotAHyperLogLog:
        raise CommandError(b"WRONGTYPE Key is not a valid HyperLogLog string value.") from None


def _write(db: Keyspace, row: KeyRow, sketch: HyperLogLog) -> None:
    value = sketch.pack()
    if len(value) == row.size:
        # In place: a dense one keeps the chunk that it lies in.
        strings.write_range(db, row, 0, value)
    else:
        strings.replace(db, row, value)


def _registers(sketch: HyperLogLog) -> bytes:
    try:
        return sketch.registers()
    except Damaged:
        raise _damaged() from None


@command("PFADD", arity=-2, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="hyperloglog",
         since=_SINCE, whole=never, wants=_want_first, complexity="O(1) for each element",
         syntax="key [element [element ...]]")
def pfadd(db: Keyspace, session: Session, args: Args) -> Reply:
    """Add elements to a HyperLogLog, which is made if it does not exist; tells whether that changed it."""
    row = typed(db, args[1], Type.STRING)
    sketch = HyperLogLog() if row is None else _read(db, row)
    try:
        changed = sketch.add(args[2:], session.instance.settings.hll_sparse_max_bytes)
    except Damaged:
        raise _damaged() from None

    if row is None:
        strings.write(db, args[1], sketch.pack())
        changed = True
    elif changed:
        _write(db, row, sketch)
    if changed:
        db.notify(EventClass.STRING, b"pfadd", args[1])
    return int(changed)


@command("PFCOUNT", arity=-2, flags=Is.READONLY, keys=_COUNT_KEYS, group="hyperloglog", since=_SINCE, whole=never,
         wants=_want_all, complexity="O(N) with N keys", syntax="key [key ...]")
def pfcount(db: Keyspace, args: Args) -> Reply:
    """Tell approximately how many distinct elements were added to any of some HyperLogLogs."""
    if len(args) == 2:
        return _count_one(db, args[1])
    registers = bytes(REGISTERS)
    for name in args[1:]:
        row = typed(db, name, Type.STRING)
        if row is not None:
            registers = union(registers, _registers(_read(db, row)))
    return estimate(histogram(registers))


def _count_one(db: Keyspace, name: bytes) -> int:
    """What the header tells, if it is right. Unlike Redis nothing is noted there: who only reads does not write."""
    row = typed(db, name, Type.STRING)
    if row is None:
        return 0
    sketch = _read(db, row)
    counted = sketch.counted
    try:
        return sketch.count() if counted is None else counted
    except Damaged:
        raise _damaged() from None


@command("PFMERGE", arity=-2, flags=Is.WRITE | Is.DENYOOM, keys=_MERGE_KEYS, group="hyperloglog", since=_SINCE,
         whole=never, wants=_want_all, complexity="O(N) with N keys", syntax="destkey [sourcekey [sourcekey ...]]")
def pfmerge(db: Keyspace, session: Session, args: Args) -> Reply:
    """Add the elements of HyperLogLogs to another, which is made if it does not exist."""
    registers, dense, target = bytes(REGISTERS), False, HyperLogLog()
    destination = typed(db, args[1], Type.STRING)
    for position, name in enumerate(args[1:]):
        row = typed_source(db, name, Type.STRING)
        if row is not None:
            sketch = _read(db, row)
            registers = union(registers, _registers(sketch))
            dense |= sketch.dense
            if position == 0:
                target = sketch

    target.take(registers, session.instance.settings.hll_sparse_max_bytes, dense=dense)
    if destination is None:
        strings.write(db, args[1], target.pack())
    else:
        _write(db, destination, target)
    db.notify(EventClass.STRING, b"pfadd", args[1])
    return OK


@command("PFDEBUG", arity=3, flags=Is.WRITE | Is.DENYOOM | Is.ADMIN, keys=_DEBUG_KEYS, group="hyperloglog",
         since=_SINCE, whole=never, wants=_want_second, complexity="O(N) with N registers, which are 16384",
         syntax="subcommand key")
def pfdebug(db: Keyspace, args: Args) -> Reply:
    """Look at how a HyperLogLog is written: its registers, opcodes, encoding; or make it dense."""
    row = typed(db, args[2], Type.STRING)
    if row is None:
        raise CommandError(b"ERR The specified key does not exist")
    sketch = _read(db, row)
    match args[1].upper():
        case b"GETREG":
            _make_dense(db, row, sketch)
            return list(sketch.registers())
        case b"DECODE":
            words = sketch.opcodes()
            if words is None:
                raise CommandError(b"ERR HLL encoding is not sparse")
            return words
        case b"ENCODING":
            return Simple(b"dense" if sketch.dense else b"sparse")
        case b"TODENSE":
            return int(_make_dense(db, row, sketch))
    raise CommandError(b"ERR Unknown PFDEBUG subcommand '%b'" % args[1].partition(b"\0")[0])


def _make_dense(db: Keyspace, row: KeyRow, sketch: HyperLogLog) -> bool:
    """Tells whether there was something to do."""
    try:
        if not sketch.make_dense():
            return False
    except Damaged:
        raise _damaged() from None
    _write(db, row, sketch)
    return True


@command("PFSELFTEST", arity=1, flags=Is.ADMIN, group="hyperloglog", since=_SINCE, slow=True, values=False,
         complexity="O(1), but it takes some hundredths of a second", syntax="")
def pfselftest(db: Keyspace, args: Args) -> Reply:
    """Try out whether HyperLogLogs count right on this machine."""
    try:
        self_test()
    except SelfTestFailed as error:
        raise CommandError(b"TESTFAILED " + str(error).encode()) from None
    return OK
