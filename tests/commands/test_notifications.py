"""Events of keys as `notify-keyspace-events` tells them, compared with Redis 7.4: which, of which keys, in which order.

Each case is run command by command, as one pipeline, and inside of MULTI and EXEC, while another client listens.
"""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.commands.dialogues import wait_until_blocked
from tests.commands.scenarios import words
from tests.conftest import Combination
from tests.services.raw_client import RawClient, encode_command
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

#: All classes, also those that A does not mean.
EVERYTHING = "KEAnm"
FENCE = b"the end"
#: What DUMP gives of the string "1".
PAYLOAD = b"\x00\xc0\x01\x0c\x00\xed\x0e\xd3v++\x8f\xb5"

Line = str | tuple[str | bytes | int, ...]
Server = Rowdis | RedisOracle

CASES: list[tuple[Line, ...]] = [
    # strings
    ("SET k 1", "SET k 2", "SET k 3 NX", "SET k 4 XX", "SET n 1 XX", "SET k 5 EX 100", "SET k 6 KEEPTTL",
     "SET k 7 PX 100000 GET", "SET n 1 GET", "SET k 8 EXAT 1", "SET nosuch 8 EXAT 1", "SET k 9 XX GET",
     "SET k 1 NX GET", "SET k 1 NX GET"),
    ("SETNX k 1", "SETNX k 2", "SETEX k 100 1", "SETEX n 100 1", "PSETEX k 100000 1", "SETEX k 0 1"),
    ("GETSET k 1", "GETSET k 2", "LPUSH l 1", "GETSET l 1", "GET nosuch", "GET k", "GET l"),
    ("GETDEL k", "SET k 1", "GETDEL k", "GETDEL k", "LPUSH l 1", "GETDEL l"),
    ("GETEX k", "SET k 1", "GETEX k", "GETEX k EX 100", "GETEX k PERSIST", "GETEX k PERSIST", "GETEX k PXAT 1",
     "GETEX k EX 10"),
    ("MSET a 1 b 2 a 3", "MGET a nosuch b nosuch", "MSETNX a 1 c 2", "MSETNX c 1 d 2", "MSET a 5"),
    ("INCR k", "INCR k", "DECR k", "INCRBY k 5", "DECRBY k 5", "INCRBYFLOAT k 1.5", "INCRBYFLOAT n 1", "INCR k",
     "DECRBY m 3"),
    ("APPEND k a", "APPEND k b", 'APPEND k ""', "SETRANGE k 1 xy", 'SETRANGE k 1 ""', "SETRANGE n 2 x",
     'SETRANGE m 2 ""', 'APPEND e ""', "STRLEN k", "STRLEN nosuch", "GETRANGE nosuch 0 1", "SUBSTR nosuch 0 1"),
    ("SETBIT k 7 1", "SETBIT k 7 1", "SETBIT k 7 0", "GETBIT nosuch 1", "GETBIT k 1", "BITCOUNT nosuch",
     "BITPOS nosuch 1", "SETBIT n 7 0"),
    ("SET a a", "SET b b", "BITOP AND t a b", "BITOP OR t a nosuch", "BITOP NOT t nosuch", "BITOP NOT t nosuch",
     "BITOP XOR u nosuch other"),
    ("BITFIELD k SET u8 0 1", "BITFIELD k GET u8 0", "BITFIELD k SET u8 0 2 INCRBY u8 0 1", "BITFIELD n GET u8 0",
     "BITFIELD k OVERFLOW FAIL INCRBY u8 0 255", "BITFIELD_RO n GET u8 0", "BITFIELD k SET u8 0 3 GET u8 8",
     "BITFIELD m OVERFLOW FAIL SET u8 0 256", "BITFIELD o SET u8 0 0", "BITFIELD o SET u8 8 0",
     "BITFIELD o SET u8 8 0"),
    ("PFADD h a", "PFADD h a", "PFADD h b c", "PFADD e", "PFADD e", "PFCOUNT h", "PFCOUNT h nosuch",
     "PFCOUNT nosuch", "PFMERGE t h nosuch", "PFMERGE t", "PFMERGE u h", "PFADD h d", "PFCOUNT h", "PFMERGE h t"),
    ("LCS a b", "SET a x", "LCS a b"),
    # keys of any type
    ("SET a 1", "SET b 1", "DEL a nosuch b a", "SET a 1", "UNLINK a nosuch", "EXISTS a", "SET a 1", "EXISTS a b",
     "TOUCH a b", "TYPE a", "TYPE b", "TTL b", "PTTL b", "EXPIRETIME b", "PEXPIRETIME b", "OBJECT ENCODING b",
     "OBJECT REFCOUNT b", "OBJECT IDLETIME b", "DUMP b", "MEMORY USAGE b", "RANDOMKEY", "KEYS b", "SCAN 0",
     "DBSIZE"),
    ("EXPIRE a 10", "SET a 1", "EXPIRE a 10", "EXPIRE a 20 NX", "EXPIRE a 20 GT", "PEXPIRE a 20000", "EXPIRE a -1",
     "SET a 1", "EXPIREAT a 1", "SET a 1", "PEXPIREAT a 1", "SET a 1", "PEXPIRE a 0", "PERSIST a", "SET a 1 EX 10",
     "PERSIST a", "PERSIST a"),
    ("SET a 1", "RENAME a b", "SET a 1", "RENAME a b", "RENAME b b", "RENAMENX b c", "SET b 1", "RENAMENX b c",
     "RENAME nosuch x", "RENAMENX nosuch x", "LPUSH l 1", "RENAME l c", "RENAMENX c c"),
    ("SET a 1", "MOVE a 1", "SET a 2", "MOVE a 1", "MOVE nosuch 1", "SELECT 1", "MOVE a 0", "DEL a", "SELECT 0"),
    ("SET a 1", "COPY a b", "COPY a b", "COPY a b REPLACE", "COPY a a DB 1", "COPY nosuch b",
     "COPY a a DB 1 REPLACE", "SET e 1 EX 100", "COPY e f", "HSET h f v", "COPY h a REPLACE"),
    (("RESTORE", "k", 0, PAYLOAD), ("RESTORE", "k", 0, PAYLOAD), ("RESTORE", "k", 0, PAYLOAD, "REPLACE"),
     ("RESTORE", "n", 100000, PAYLOAD), ("RESTORE", "n", 1, PAYLOAD, "REPLACE", "ABSTTL"),
     ("RESTORE", "n", 1, PAYLOAD, "REPLACE", "ABSTTL")),
    ("RPUSH l 3 1 2", "SORT l", "SORT l STORE t", "SORT l STORE t", "SORT nosuch STORE t", "SORT nosuch STORE t",
     "SORT nosuch", "SORT_RO nosuch", "SORT l BY w_* GET d_* STORE t", "SORT l BY w_* STORE l",
     "SORT l LIMIT 5 1 STORE t"),
    ("SET a 1", "SWAPDB 0 1", "SWAPDB 0 1", "FLUSHDB", "SET a 1", "FLUSHALL", "SET a 1"),
    # lists
    ("LPUSH l 1", "LPUSH l 2 3", "RPUSH l 4", "LPUSHX l 5", "RPUSHX l 6", "LPUSHX nosuch 5", "RPUSHX nosuch 6",
     "LPOP l", "RPOP l", "LPOP l 2", "RPOP l 0", "LPOP l 10", "LPOP l", "RPOP l 1", "LPOP l 0"),
    ("RPUSH l a b a c", "LREM l 1 a", "LREM l 0 x", "LREM nosuch 0 x", "LINSERT l BEFORE b x", "LINSERT l AFTER y x",
     "LINSERT nosuch AFTER y x", "LSET l 0 z", "LSET l 99 z", "LSET nosuch 0 z", "LTRIM l 1 -1", "LTRIM l 0 -1",
     "LTRIM nosuch 0 1", "LTRIM l 5 1", "LPUSH l a", "LREM l 0 a"),
    ("LLEN nosuch", "LINDEX nosuch 0", "LRANGE nosuch 0 1", "LPOS nosuch a", "LPUSH l a", "LINDEX l 5"),
    ("RPUSH a 1 2", "LMOVE a b LEFT RIGHT", "LMOVE a a LEFT RIGHT", "RPOPLPUSH a b", "RPOPLPUSH a b",
     "LMOVE nosuch b LEFT LEFT", "LMOVE b b LEFT LEFT", "RPUSH c 1", "LMOVE c c LEFT RIGHT", "LMOVE c d RIGHT LEFT"),
    ("RPUSH a 1 2 3", "LMPOP 2 nosuch a LEFT", "LMPOP 1 a RIGHT COUNT 2", "LMPOP 1 a RIGHT"),
    ("RPUSH a 1 2 3 4 5", "BLPOP nosuch a 1", "BRPOP a 1", "BLMOVE a b LEFT RIGHT 1", "BRPOPLPUSH a b 1",
     "BLMPOP 1 1 a LEFT COUNT 2"),
    # sets
    ("SADD s a", "SADD s a", "SADD s a b", "SREM s x", "SREM s a", "SREM s b x", "SREM nosuch a", "SCARD nosuch",
     "SMEMBERS nosuch", "SISMEMBER nosuch a", "SMISMEMBER nosuch a", "SRANDMEMBER nosuch", "SRANDMEMBER nosuch 2",
     "SSCAN nosuch 0"),
    ("SADD s a b c d e", "SPOP s", "SPOP s 2", "SPOP s 0", "SPOP s 10", "SPOP s", "SPOP s 1", "SADD s a", "SPOP s",
     "SADD s a b", "SPOP s 2"),
    ("SADD a 1 2 3", "SADD b 3", "SMOVE a b 1", "SMOVE a b 9", "SMOVE a b 3", "SMOVE a c 2", "SMOVE a a 2",
     "SMOVE c c 2", "SMOVE c c 9", "SMOVE nosuch b 1"),
    ("SADD a 1 2 3", "SADD b 3", "SUNION a nosuch", "SINTER a nosuch b", "SDIFF a nosuch", "SINTERCARD 2 a nosuch",
     "SUNIONSTORE t a b", "SUNIONSTORE t a nosuch", "SINTERSTORE t a b", "SINTERSTORE t a nosuch b",
     "SINTERSTORE t a nosuch", "SDIFFSTORE t a b", "SDIFFSTORE t b a", "SDIFFSTORE t b a", "SDIFFSTORE t nosuch a",
     "SUNIONSTORE a a b", "SET t 1", "SUNIONSTORE t nosuch"),
    # sorted sets
    ("ZADD z 1 a", "ZADD z 1 a", "ZADD z 2 a", "ZADD z 1 b 2 c", "ZADD z XX 1 x", "ZADD z NX 5 a",
     "ZADD z GT CH 1 a", "ZADD nosuch XX 1 a", "ZADD z INCR 1 a", "ZADD z INCR 0 a", "ZADD z NX INCR 1 a",
     "ZINCRBY z 1 a", "ZINCRBY z 0 a", "ZINCRBY n 1 a", "ZADD m INCR 1 a", "ZADD nosuch XX INCR 1 a", "ZREM z a x",
     "ZREM z x", "ZREM z b c", "ZREM z b"),
    ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "ZPOPMIN z", "ZPOPMAX z", "ZPOPMIN z 2", "ZPOPMIN z 0",
     "ZMPOP 2 nosuch z MIN", "BZPOPMIN z 1", "ZPOPMIN z", "ZADD z 1 a 2 b 3 c", "BZPOPMAX z 1",
     "BZMPOP 1 1 z MAX COUNT 5", "ZMPOP 1 z MIN", "ZADD z 1 a", "ZPOPMAX z 5"),
    ("ZADD z 1 a 2 b 3 c", "ZREMRANGEBYRANK z 5 6", "ZREMRANGEBYRANK z 0 0", "ZREMRANGEBYSCORE z 9 9",
     "ZREMRANGEBYSCORE z 2 2", "ZREMRANGEBYSCORE z 3 3", "ZADD z 0 a 0 b", "ZREMRANGEBYLEX z [x [y",
     "ZREMRANGEBYLEX z [a [a", "ZREMRANGEBYLEX z [b [b", "ZREMRANGEBYRANK nosuch 0 1", "ZADD z 1 a",
     "ZREMRANGEBYRANK z 0 -1"),
    ("ZCARD n", "ZSCORE n a", "ZMSCORE n a", "ZRANK n a", "ZREVRANK n a", "ZRANGE n 0 1", "ZRANGEBYSCORE n 0 1",
     "ZRANGEBYLEX n - +", "ZCOUNT n 0 1", "ZLEXCOUNT n - +", "ZRANDMEMBER n", "ZRANDMEMBER n 2", "ZSCAN n 0"),
    ("ZADD a 1 x 2 y", "ZADD b 1 x", "ZUNION 2 a nosuch", "ZINTER 2 a nosuch", "ZDIFF 2 a nosuch",
     "ZINTERCARD 2 a nosuch", "ZUNIONSTORE t 2 a b", "ZUNIONSTORE t 2 a nosuch", "ZINTERSTORE t 2 a b",
     "ZINTERSTORE t 2 a nosuch", "ZINTERSTORE t 2 a nosuch", "ZDIFFSTORE t 2 a b", "ZDIFFSTORE t 2 b a",
     "ZRANGESTORE t a 0 -1", "ZRANGESTORE t a 0 -1", "ZRANGESTORE t a 5 6", "ZRANGESTORE t a 5 6",
     "ZRANGESTORE t nosuch 0 -1", "SET t 1", "ZRANGESTORE t nosuch 0 -1"),
    ("GEOADD g 1 1 a", "GEOADD g 1 1 a", "GEOADD g 1 1 a 2 2 b", "GEOADD g XX CH 1.5 1 a", "GEOADD nosuch XX 1 1 a",
     "GEOPOS nosuch a", "GEODIST nosuch a b", "GEOHASH nosuch a", "GEORADIUS g 1 1 500 km STORE t",
     "GEORADIUS g 50 50 1 km STORE t", "GEORADIUSBYMEMBER g a 500 km STOREDIST t",
     "GEOSEARCHSTORE t g FROMLONLAT 1 1 BYRADIUS 500 km", "GEOSEARCHSTORE t g FROMLONLAT 50 50 BYRADIUS 1 km",
     "GEOSEARCHSTORE t nosuch FROMLONLAT 1 1 BYRADIUS 500 km", "GEOSEARCH nosuch FROMLONLAT 1 1 BYRADIUS 5 km",
     "GEORADIUS nosuch 1 1 5 km STORE t", "GEORADIUS_RO nosuch 1 1 5 km"),
    # hashes
    ("HSET h a 1", "HSET h a 1 b 2", "HMSET h a 3", "HSETNX h a 1", "HSETNX h c 1", "HSETNX n c 1", "HINCRBY h a 1",
     "HINCRBY m a 1", "HINCRBYFLOAT h a 1.5", "HINCRBYFLOAT o a 1", "HDEL h a x", "HDEL h x", "HDEL h b c",
     "HDEL nosuch a"),
    ("HGET n a", "HMGET n a b", "HEXISTS n a", "HSTRLEN n a", "HLEN n", "HGETALL n", "HKEYS n", "HVALS n",
     "HSCAN n 0", "HRANDFIELD n", "HRANDFIELD n 2", "HTTL n FIELDS 1 a", "HSET h a 1", "HGET h nosuch"),
    ("HSET h a 1 b 2 c 3", "HEXPIRE h 100 FIELDS 2 a x", "HEXPIRE h 100 NX FIELDS 1 a", "HEXPIRE h 100 FIELDS 1 x",
     "HPEXPIRE h 100000 FIELDS 1 b", "HPERSIST h FIELDS 1 a", "HPERSIST h FIELDS 1 a", "HPERSIST h FIELDS 1 x",
     "HEXPIREAT h 1 FIELDS 1 a", "HPEXPIREAT h 1 FIELDS 2 b c", "HEXPIRE h 0 FIELDS 1 a", "HPERSIST h FIELDS 1 a"),
    ("HSET h a 1 b 2 c 3", "HEXPIRE h 0 FIELDS 2 a b", "HPEXPIRE h 0 FIELDS 3 a b c", "HSET h a 1 b 2",
     "HPEXPIRE h 0 NX FIELDS 2 a a", "HPEXPIRE h 0 XX FIELDS 1 b", "HTTL h FIELDS 1 b", "HSET h b 1 c 2",
     "HEXPIRE h 100 FIELDS 2 b c", "HDEL h b", "HDEL h c", "HEXPIRE n 100 FIELDS 1 a", "HPERSIST n FIELDS 1 a"),
    # streams
    ("XADD s 1-1 a 1", "XADD s 2-1 a 1", "XADD n NOMKSTREAM * a 1", "XADD s MAXLEN 1 3-1 a 1",
     "XADD s MAXLEN 9 4-1 a 1", "XADD s MINID 4 5-1 a 1", "XADD s MAXLEN 0 6-1 a 1", "XADD s 7-1 a 1",
     "XADD s 8-1 a 1", "XADD s 1-1 a 1", "XTRIM s MAXLEN 1", "XTRIM s MAXLEN 1", "XTRIM n MAXLEN 1", "XDEL s 8-1",
     "XDEL s 8-1", "XDEL n 8-1", "XADD s 9-1 a 1", "XDEL s 9-1 1-1", "XSETID s 10-1", "XSETID s 10-1", "XLEN n",
     "XRANGE n - +", "XREVRANGE n + -", "XREAD STREAMS n 0", "XREAD STREAMS n $", "XREAD STREAMS n s m 0 0 $",
     "XREAD BLOCK 1 STREAMS n m 0 0", "XINFO STREAM n", "XINFO STREAM s"),
    ("XGROUP CREATE s g $", "XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s g $", "XGROUP CREATE s h 0",
     "XGROUP SETID s g 0", "XGROUP CREATECONSUMER s g c", "XGROUP CREATECONSUMER s g c", "XGROUP DELCONSUMER s g c",
     "XGROUP DELCONSUMER s g c", "XGROUP DESTROY s h", "XGROUP DESTROY s h", "XGROUP SETID s h 0"),
    ("XADD s 1-1 a 1", "XADD s 2-1 a 1", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
     "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XREADGROUP GROUP g c STREAMS s >",
     "XREADGROUP GROUP g d STREAMS s 0", "XREADGROUP GROUP g e STREAMS n >", "XACK s g 1-1", "XACK s g 1-1",
     "XACK n g 1-1", "XPENDING s g", "XPENDING n g", "XCLAIM s g f 0 2-1", "XCLAIM s g f 0 9-1",
     "XCLAIM s g i 99999 2-1", "XCLAIM n g f 0 2-1", "XAUTOCLAIM s g x 0 0", "XAUTOCLAIM s g y 99999 0",
     "XAUTOCLAIM n g y 0 0", "XDEL s 2-1", "XCLAIM s g z 0 2-1", "XAUTOCLAIM s g v 0 0", "XGROUP DELCONSUMER s g v"),
    # errors, transactions
    ("SET k v", "LPUSH k 1", "INCR k", "SADD k 1", "ZADD k 1 a", "HSET k a 1", "XADD k * a 1", "SETBIT k 0 2",
     "APPEND", "NOSUCH", "SETRANGE k -1 x"),
]  # fmt: skip


class Listener:
    """A client that is told events of a server, and messages of the channel `fence`."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        for request in (("PSUBSCRIBE", "__key*__:*"), ("SUBSCRIBE", "fence")):
            client.call(*request)

    def heard(self) -> list[bytes]:
        """What has come, up to the next fence."""
        found = []
        while FENCE not in (message := self.client.read()):
            # Without the first line, in which arrays and pushes differ.
            found.append(message.split(b"\r\n", 1)[1])
        return found


@contextlib.contextmanager
def listening(server: Server, protocol: int, classes: str = EVERYTHING) -> Iterator[tuple[RawClient, Listener]]:
    """A client of an emptied server, and one that listens."""
    with server.client(protocol) as client, server.client(protocol) as other:
        client.pipeline([("FLUSHALL",), ("CONFIG", "SET", "notify-keyspace-events", classes)])
        yield client, Listener(other)
        client.call("CONFIG", "SET", "notify-keyspace-events", "")


def told(server: Server, protocol: int, lines: tuple[Line, ...], way: str) -> list[tuple[str, list[bytes]]]:
    """The events of commands that are run in one of three ways; one by one, with the command that caused them."""
    requests = [words(line) for line in lines]
    with listening(server, protocol) as (client, listener):
        if way == "one by one":
            result = []
            for line, request in zip(lines, requests, strict=True):
                client.call(*request)
                client.call("PUBLISH", "fence", FENCE)
                result.append((str(line), listener.heard()))
            return result
        if way == "transaction":
            requests = [(b"MULTI",), *requests, (b"EXEC",)]
        client.pipeline([*requests, ("PUBLISH", "fence", FENCE)])
        return [(way, listener.heard())]


@pytest.mark.parametrize("lines", CASES, ids=lambda lines: f"{lines[0]} ..."[:60])
def test_events_are_those_of_redis(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, lines: tuple[Line, ...],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    thorough = combination.engine != "embedded" or request.config.getoption("--everything")
    for way in ("one by one", "pipeline", "transaction") if thorough else ("pipeline",):
        ours = told(rowdis, combination.protocol, lines, way)
        theirs = told(redis74, combination.protocol, lines, way)
        different = [f"{line}\nRowdis {mine}\nRedis  {other}"
                     for (line, mine), (_, other) in zip(ours, theirs, strict=True) if mine != other]
        assert not different, f"{way}:\n" + "\n".join(different)


def test_classes_that_are_not_wanted_are_not_told(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination
) -> None:
    lines = ("SET k 1 EX 100", "LPUSH l 1", "LPOP l", "SADD s 1", "HSET h a 1", "ZADD z 1 a", "XADD x 1-1 a 1", "GET n")

    def heard(server: Server) -> list[object]:
        found: list[object] = []
        for letters in ("", "A", "KA", "EA", "Kg", "E$", "KElsh", "Kzt", "Kn", "Km", "KEAnm", "Eedx", "nmA", "mnEK"):
            with listening(server, combination.protocol, letters) as (client, listener):
                shown = client.call("CONFIG", "GET", "notify-keyspace-events")
                client.pipeline([*(words(line) for line in lines), ("PUBLISH", "fence", FENCE)])
                found.append((letters, shown.split(b"\r\n")[-2], listener.heard()))
        return found

    assert heard(rowdis) == heard(redis74)


def test_a_letter_that_is_no_class_is_refused(rowdis: Rowdis, redis74: RedisOracle, combination: Combination) -> None:
    for letters in ("KEq", "KE A", "a"):
        with rowdis.client(combination.protocol) as ours, redis74.client(combination.protocol) as theirs:
            request = ("CONFIG", "SET", "notify-keyspace-events", letters)
            assert ours.call(*request) == theirs.call(*request)


OWN = [
    "CONFIG SET notify-keyspace-events KEAnm", "SUBSCRIBE __keyspace@0__:k", "PSUBSCRIBE __keyevent@*", "SET k 1",
    "GET nosuch", "PING", "INCR k", "LPUSH k 1", "MULTI", "SET k 1", "GET k", "DEL k", "EXEC", "PING", "EXPIRE k 1",
    "WATCH w", "SET w 1", "MULTI", "SET k 2", "EXEC", "MULTI", "SET k 2", "DISCARD", "PUBLISH __keyspace@0__:k 1",
    "MULTI", "SET k 3", "PUBLISH c 1", "SUBSCRIBE c __keyspace@0__:l", "LPUSH l 1", "PUBLISH c 2", "UNSUBSCRIBE c",
    "INCR k", "PUBLISH c 3", "EXEC", "CLIENT TRACKING ON", "GET k", "SET k 4", "GET k", "MULTI", "SET k 5",
    "PUBLISH __keyspace@0__:k 1", "DEL k", "EXEC", "CLIENT TRACKING OFF",
    "CLIENT REPLY SKIP", "SET k 1", "PING", "CONFIG SET notify-keyspace-events \"\"", "SET k 1", "PING end",
]  # fmt: skip


@pytest.mark.parametrize("together", [True, False], ids=["pipeline", "one after the other"])
def test_what_a_client_causes_itself_comes_behind_the_reply(
    rowdis: Rowdis, redis74: RedisOracle, together: bool
) -> None:
    heard = []
    for server in (rowdis, redis74):
        with server.client(3) as client:
            client.call("FLUSHALL")
            requests = [encode_command(words(line)) for line in OWN]
            for data in [b"".join(requests)] if together else requests:
                client.send_raw(data)
            found = [client.read()]
            while not found[-1].endswith(b"end\r\n"):
                found.append(client.read())
            heard.append(found)
    assert heard[0] == heard[1]


BLOCKED = [
    ("BLPOP l 0", "RPUSH l 1"),
    ("BLPOP l 0", "RPUSH l 1 2"),
    ("BLMOVE l m LEFT LEFT 0", "RPUSH l 1"),
    ("BRPOPLPUSH l l 0", "LPUSH l 1"),
    ("BLMPOP 0 2 l m RIGHT COUNT 5", "LPUSH m 1 2"),
    ("BZPOPMIN z 0", "ZADD z 1 a"),
    ("BZMPOP 0 1 z MAX", "ZADD z 1 a 2 b"),
    ("XREAD BLOCK 0 STREAMS s $", "XADD s 1-1 a 1"),
    ("BLPOP l 0", "MULTI", "RPUSH l 1", "SET k 1", "EXEC"),
    ("BLPOP l 0", "MULTI", "RPUSH l 1", "PUBLISH fence 1", "SET k 1", "PUBLISH fence 2", "LPUSH l 2", "EXEC"),
    ("BLPOP l 0", "RPUSH m 1", "RENAME m l"),
    ("BLPOP l 0", "RPUSH m 1", "COPY m l"),
]


@pytest.mark.parametrize("lines", BLOCKED, ids=lambda lines: " ".join(lines))
def test_events_of_blocked_clients_follow_those_of_what_feeds_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, lines: tuple[str, ...]
) -> None:
    heard = []
    for server in (rowdis, redis74):
        # Without misses: how often a client that waits looks is its server's affair.
        with listening(server, combination.protocol, "KEAn") as (client, listener), server.client() as blocked:
            blocked.send(*words(lines[0]))
            wait_until_blocked(client, 1)
            client.pipeline([words(line) for line in lines[1:]])
            reply = blocked.read()
            client.call("PUBLISH", "fence", FENCE)
            heard.append((reply, listener.heard()))
    assert heard[0] == heard[1]


def test_what_expires_is_told_once_though_nobody_touches_it(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination
) -> None:
    """Two databases, whole keys and fields, the last field of a hash; and what was touched when its time was over."""

    def heard(server: Server) -> list[bytes]:
        with listening(server, combination.protocol, "Kx") as (client, listener):
            client.pipeline([
                words(line) for line in (
                    "SET a 1 PX 1", "SET b 1 PXAT 1", "RPUSH l 1", "PEXPIRE l 1", "SELECT 3", "SET a 1 PX 100",
                    "HSET h a 1 b 2", "HSET i a 1 b 2", "CONFIG SET notify-keyspace-events Kxhg",
                    "HPEXPIRE h 1 FIELDS 1 a", "HPEXPIRE i 1 FIELDS 2 a b",
                )
            ])  # fmt: skip
            found = [listener.client.read().split(b"\r\n", 1)[1] for _ in range(9)]
            client.pipeline([words(line) for line in ("GET a", "DEL a", "HDEL h a", "SELECT 0", "GET a", "DEL b l")])
            client.call("PUBLISH", "fence", FENCE)
            return sorted(found + listener.heard())

    assert heard(rowdis) == heard(redis74)


def test_an_untouched_key_is_told_of_within_a_second_of_its_time(rowdis: Rowdis, combination: Combination) -> None:
    with listening(rowdis, combination.protocol, "Ex") as (client, listener):
        client.call("SET", "k", 1, "PX", 20)
        start = time.monotonic()
        assert listener.client.read().endswith(b"$1\r\nk\r\n")
        assert time.monotonic() - start < 1.0


def test_a_writer_that_meets_an_expired_key_tells_of_it_first(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination
) -> None:
    lines = ("SET k 1 PXAT 1", "SET k 2", "SET k 1 PXAT 1", "INCR k", "SET k 1 PXAT 1", "DEL k", "SET n 1",
             "SET k 1 PXAT 1", "RENAME n k", "SET k 1 PXAT 1", "EXISTS k", "SET k 1 PXAT 1", "SADD k 1")

    def heard(server: Server) -> list[bytes]:
        with listening(server, combination.protocol, "KAnm") as (client, listener):
            # In a transaction no sweeper comes in between.
            client.pipeline([("MULTI",), *(words(line) for line in lines), ("EXEC",), ("PUBLISH", "fence", FENCE)])
            return listener.heard()

    assert heard(rowdis) == heard(redis74)
