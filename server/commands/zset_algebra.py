"""Unions, intersections and differences of sorted sets and sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.errors import CommandError, syntax_error, wrong_type
from protocol.numbers import MAX_INTEGER, parse_double
from protocol.replies import Double, Pairs, Reply
from server.arguments import Args, Options, integer, integer_in
from server.keyspecs import CountedKeys, Keys, KeySpec
from server.registry import Is, command, everything
from server.zset_results import store_zset
from storage import zset_algebra as algebra
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.zset_algebra import AGGREGATES, Aggregate, Input, Scores

_READS: tuple[KeySpec, ...] = (CountedKeys(1, "RO access"),)
_STORES: tuple[KeySpec, ...] = (Keys(1, 1, 1, "OW update"), CountedKeys(2, "RO access"))
_OPTIONS = "[WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]"
_UNION_COST = "O(N)+O(M*log(M)) with N members of all keys together, M of the result"
_INTER_COST = "O(N*K)+O(M*log(M)) with N members of the smallest of K keys, M of the result"
_DIFF_COST = "O(L)+O(M*log(M)) with L members of all keys together, M of the result"


@dataclass(slots=True)
class _Operation:
    """What was asked for beside the operation itself."""

    inputs: list[Input] = field(default_factory=list)
    aggregate: Aggregate = algebra.total
    with_scores: bool = False


def _keys(db: Keyspace, args: Args, at: int) -> list[KeyRow | None]:
    """The rows of the keys, of which the number stands at a position. CommandError, WRONGTYPE too."""
    number = integer(args[at])
    if number < 1:
        raise CommandError(b"ERR at least 1 input key is needed for '%b' command" % args[0].lower())
    if number > len(args) - at - 1:
        raise syntax_error()
    rows = [db.find_source(name) for name in args[at + 1 : at + 1 + number]]
    for row in rows:
        if row is not None and row.type not in (Type.ZSET, Type.SET):
            raise wrong_type()
    return rows


def _parse(db: Keyspace, args: Args, *, storing: bool = False, combines: bool = True) -> _Operation:
    """Keys and options; a difference (`combines` is false) has neither weights nor an aggregate. CommandError.

    As in Redis, the types of the keys are judged before the options.
    """
    at = 2 if storing else 1
    rows = _keys(db, args, at)
    weights = [1.0] * len(rows)
    found = _Operation()
    words = Options(args, at + 1 + len(rows))
    while words.left:
        word = words.word()
        if combines and word == b"WEIGHTS" and words.left >= len(rows):
            weights = [_weight(words.value()) for _ in rows]
        elif combines and word == b"AGGREGATE" and words.left:
            aggregate = AGGREGATES.get(words.word())
            if aggregate is None:
                raise syntax_error()
            found.aggregate = aggregate
        elif word == b"WITHSCORES" and not storing:
            found.with_scores = True
        else:
            raise syntax_error()
    found.inputs = [Input(row, weight) for row, weight in zip(rows, weights, strict=True)]
    return found


def _weight(data: bytes) -> float:
    try:
        return parse_double(data)
    except ValueError:
        raise CommandError(b"ERR weight value is not a float") from None


def _reply(found: Scores, operation: _Operation) -> Reply:
    members = algebra.in_order(found)
    if operation.with_scores:
        return Pairs([(member, Double(score)) for member, score in members])
    return [member for member, _ in members]


@command("ZUNION", arity=-3, flags=Is.READONLY | Is.MOVABLEKEYS, keys=_READS, group="sorted-set", since="6.2.0",
         values=False, reads=everything, complexity=_UNION_COST,
         syntax=f"numkeys key [key ...] {_OPTIONS} [WITHSCORES]")
def zunion(db: Keyspace, args: Args) -> Reply:
    """Give the members of any of several sorted sets, in order."""
    operation = _parse(db, args)

    return _reply(algebra.union(db, operation.inputs, operation.aggregate), operation)


@command("ZINTER", arity=-3, flags=Is.READONLY | Is.MOVABLEKEYS, keys=_READS, group="sorted-set", since="6.2.0",
         values=False, reads=everything, complexity=_INTER_COST,
         syntax=f"numkeys key [key ...] {_OPTIONS} [WITHSCORES]")
def zinter(db: Keyspace, args: Args) -> Reply:
    """Give the members that several sorted sets have in common, in order."""
    operation = _parse(db, args)

    return _reply(algebra.intersection(db, operation.inputs, operation.aggregate), operation)


@command("ZDIFF", arity=-3, flags=Is.READONLY | Is.MOVABLEKEYS, keys=_READS, group="sorted-set", since="6.2.0",
         values=False, reads=everything, complexity=_DIFF_COST, syntax="numkeys key [key ...] [WITHSCORES]")
def zdiff(db: Keyspace, args: Args) -> Reply:
    """Give the members of a sorted set that others do not have, in order."""
    operation = _parse(db, args, combines=False)

    return _reply(algebra.difference(db, operation.inputs), operation)


@command("ZINTERCARD", arity=-3, flags=Is.READONLY | Is.MOVABLEKEYS, keys=_READS, group="sorted-set", since="7.0.0",
         values=False, reads=everything, complexity="O(N*K) with N members of the smallest of K keys",
         syntax="numkeys key [key ...] [LIMIT limit]")
def zintercard(db: Keyspace, args: Args) -> Reply:
    """Count the members that several sorted sets have in common."""
    rows = _keys(db, args, 1)
    words = Options(args, 2 + len(rows))
    limit = 0
    while words.left:
        if words.word() != b"LIMIT":
            raise syntax_error()
        limit = integer_in(words.value(), 0, MAX_INTEGER, b"ERR LIMIT can't be negative")

    return algebra.count_common(db, [Input(row) for row in rows], limit or MAX_INTEGER)


# -- storing the result


def _store(db: Keyspace, name: bytes, found: Scores, event: bytes) -> Reply:
    return store_zset(db, name, list(found.items()), event)


@command("ZUNIONSTORE", arity=-4, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, keys=_STORES, group="sorted-set",
         since="2.0.0", values=False, reads=everything, complexity=_UNION_COST,
         syntax=f"destination numkeys key [key ...] {_OPTIONS}")
def zunionstore(db: Keyspace, args: Args) -> Reply:
    """Store the members of any of several sorted sets as another one, and count them."""
    operation = _parse(db, args, storing=True)

    return _store(db, args[1], algebra.union(db, operation.inputs, operation.aggregate), b"zunionstore")


@command("ZINTERSTORE", arity=-4, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, keys=_STORES, group="sorted-set",
         since="2.0.0", values=False, reads=everything, complexity=_INTER_COST,
         syntax=f"destination numkeys key [key ...] {_OPTIONS}")
def zinterstore(db: Keyspace, args: Args) -> Reply:
    """Store the members that several sorted sets have in common as another one, and count them."""
    operation = _parse(db, args, storing=True)

    return _store(db, args[1], algebra.intersection(db, operation.inputs, operation.aggregate), b"zinterstore")


@command("ZDIFFSTORE", arity=-4, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, keys=_STORES, group="sorted-set",
         since="6.2.0", values=False, reads=everything, complexity=_DIFF_COST,
         syntax="destination numkeys key [key ...]")
def zdiffstore(db: Keyspace, args: Args) -> Reply:
    """Store the members of a sorted set that others do not have as another one, and count them."""
    operation = _parse(db, args, storing=True, combines=False)

    return _store(db, args[1], algebra.difference(db, operation.inputs), b"zdiffstore")
