"""Positions on the map, compared with redis-server: adding, telling, measuring, searching."""

import random

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, deviates, scenario, scenarios

SICILY = (
    "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania "
    "12.758489 38.788135 edge1 17.241510 38.788135 edge2"
)
#: Positions at the ends of the map.
ENDS = (
    "GEOADD e 180 85.05112878 a -180 -85.05112878 b 180 85.05 c 180 -85.05112878 d 180 12.34567 e -180 0 f 0 0 g "
    "179.9999 0.0001 h -179.9999 -0.0001 i 0 85 j 90 -85 k"
)
#: Scores that no position has.
ODD = (
    "ZADD z 1.5 a -1 b inf c -inf d 1e300 e 9223372036854775807 f 9223372036854775808 g 18446744073709551615 h "
    "-9223372036854775808 i -0.5 j 4503599627370496 k 3479447370796909.5 l"
)
#: More than a page of members around Sicily, none as far from there as another.
_RANDOM = random.Random(3)
MANY = tuple(
    word
    for n in range(5000)
    for word in (f"{_RANDOM.gauss(14, 1.5):.9f}", f"{_RANDOM.gauss(37.5, 1):.9f}", f"m{n}")
)
FILL = ("GEOADD", "g", *MANY)
#: All over the world.
WORLD = (
    "GEOADD",
    "w",
    *[
        word
        for n in range(600)
        for word in (f"{_RANDOM.uniform(-180, 180):.7f}", f"{_RANDOM.uniform(-85, 85):.7f}", f"m{n}")
    ],
)
TIED_HEAD = "h" * 70
#: Twenty members at each of three places.
TIED = ("GEOADD", "g", *[word for n in range(60) for word in (f"{15 + n % 3 / 10}", "37.5", f"m{n:02}")])


@scenarios(
    scenario("positions are told as they are kept", SICILY, "GEOPOS g Palermo Catania nosuch", "GEOPOS g",
             "GEOPOS nosuch a b", "GEOPOS nosuch", "ZSCORE g Palermo", "ZRANGE g 0 -1 WITHSCORES", "TYPE g", "GEOPOS"),
    scenario("geohashes", SICILY, "GEOHASH g Palermo nosuch Catania", "GEOHASH g", "GEOHASH nosuch a b",
             "GEOHASH nosuch", "GEOHASH"),
    scenario("the ends of the map", ENDS, "ZRANGE e 0 -1 WITHSCORES", "GEOPOS e a b c d e f g h i j k",
             "GEOHASH e a b c d e f g h i j k", "GEODIST e a b", "GEODIST e f g", "GEODIST e h i", "GEODIST e j k km"),
    scenario("scores that are no positions", ODD, "GEOPOS z a b c d e f g h i j k l",
             "GEOHASH z a b c d e f g h i j k l", "GEODIST z a b", "GEODIST z c d", "GEODIST z f k mi",
             "GEORADIUSBYMEMBER z c 1 m WITHHASH", "GEORADIUSBYMEMBER z l 100 km WITHHASH WITHDIST",
             "GEORADIUSBYMEMBER z b 100 km", "GEORADIUS z 15 37 200 km STORE y", "ZRANGE y 0 -1 WITHSCORES"),
    scenario("members are added and moved", "GEOADD g 1 1 a", "GEOADD g 2 2 a 3 3 b", "GEOADD g CH 2 2 a 4 4 b 5 5 c",
             "GEOADD g 0 0 d 1 1 d 0 0 d", "GEOADD g CH 0 0 d 1 1 d 0 0 d", "GEOPOS g a b c d", "GEOADD g CH 0 0 d"),
    scenario("NX and XX", "GEOADD g NX 1 1 a", "GEOADD g nx 2 2 a 2 2 b", "GEOADD g XX 3 3 c",
             "GEOADD g XX 3 3 a 3 3 d", "GEOADD g xx ch 4 4 a 4 4 d", "GEOADD g CH NX 5 5 a 5 5 e",
             "GEOADD g NX CH 9 9 f 8 8 f", "GEOPOS g a b e f", "GEOADD nosuch XX 1 1 a", "EXISTS nosuch",
             "GEOADD g CH CH NX NX 7 7 h"),
    scenario("words that are no positions", "GEOADD g 181 0 x", "GEOADD g 0 86 x", "GEOADD g -180.0001 0 x",
             "GEOADD g a 0 x", "GEOADD g 0 a x", "GEOADD g inf 0 x", "GEOADD g 0 -inf x", "GEOADD g nan 0 x",
             "GEOADD g 1e400 0 x", "GEOADD g 0 0 x 999 0 y", "EXISTS g", "GEOADD g 0x10 0 x", "GEOADD g +1.5 .5e1 y",
             "GEOADD g -0 -0 z", "GEOPOS g x y z", 'GEOADD g "" 0 x', 'GEOADD g " 1" 0 x'),
    scenario("the words of GEOADD are judged", "GEOADD g 0 0", "GEOADD g 0 0 x 1", "GEOADD g NX XX 0 0 x",
             "GEOADD g NX XX", "GEOADD g NX 0 0", "GEOADD g NX XX a b c", "GEOADD g FOO 2 0 x", "GEOADD g GT 2 0 x",
             "GEOADD g INCR 2 0 x", "GEOADD g NX CH XX", "GEOADD g NX CH NX", "GEOADD g 0 0 NX",
             "GEOADD g 0 0 x CH 0 0", "ZRANGE g 0 -1", "SET s 1", "GEOADD s a b c", "GEOADD s 1 1 c",
             "GEOADD s NX XX 1 1 c", "GEOADD s XX 1 1 c"),
    scenario("distances", SICILY, "GEODIST g Palermo Catania", "GEODIST g Palermo Catania m",
             "GEODIST g Palermo Catania KM", "GEODIST g Palermo Catania mi", "GEODIST g Palermo Catania Ft",
             "GEODIST g edge1 edge2", "GEODIST g Palermo Palermo", "GEODIST g Palermo nosuch",
             "GEODIST g nosuch Palermo", "GEODIST nosuch a b", "GEOADD g 13.361389 0 south", "GEODIST g Palermo south"),
    scenario("the words of GEODIST are judged", SICILY, "GEODIST g Palermo Catania foo",
             "GEODIST g Palermo Catania km km", "GEODIST nosuch a b foo", "GEODIST nosuch a b km km",
             "GEODIST g Palermo", 'GEODIST g Palermo Catania ""', "SET s 1", "GEODIST s a b foo", "GEODIST s a b m m",
             "GEODIST s a b", "GEOPOS s a", "GEOPOS s", "GEOHASH s a"),
    scenario("members hold any bytes", r'GEOADD g 1 1 "a\x00b" 1 1 "" 1 1 "\xff\xfe" 1 1 "\r\n"',
             r'GEOPOS g "a\x00b" a', "GEORADIUS g 1 1 1 km", r'GEORADIUSBYMEMBER g "" 1 km WITHCOORD',
             ("GEOADD", "g", 1, 1, b"\x00x" * 50_000), ("GEOADD", "g", 1, 1, TIED_HEAD + "b", 1, 1, TIED_HEAD + "a"),
             "GEORADIUS g 1 1 1 km WITHDIST", ("GEORADIUSBYMEMBER", "g", b"\x00x" * 50_000, 1, "m", "STORE", "d"),
             "ZRANGE d 0 -1"),
    scenario("a position is a member like others", SICILY, "ZREM g Palermo", "GEOPOS g Palermo",
             "GEORADIUS g 15 37 500 km ASC", "ZADD g 3479099956230698 p", "GEOPOS g p", "ZINCRBY g 1 p", "GEOPOS g p",
             "RENAME g h", "GEODIST h Catania p", "GEOADD g 1 1 a", "ZPOPMIN g", "EXISTS g",
             "GEORADIUS g 15 37 500 km"),
    scenario("an expired key is an absent one", SICILY, "PEXPIRE g 20", becomes("EXISTS g", b":0\r\n"),
             "GEOPOS g Palermo", "GEORADIUS g 15 37 500 km", "GEORADIUSBYMEMBER g Palermo 500 km", "GEOADD g XX 1 1 a",
             "GEOADD g 1 1 a", "TTL g", "GEORADIUS g 1 1 1 km"),
    scenario("in a transaction", "MULTI", SICILY, "GEORADIUS g 15 37 200 km ASC", "GEOADD g 1 1 a XX",
             "GEOADD g 15 37 centre", "GEORADIUSBYMEMBER g centre 100 km WITHDIST", "GEORADIUSBYMEMBER g nosuch 1 km",
             "ZREM g Catania", "GEOSEARCHSTORE g g FROMMEMBER centre BYRADIUS 300 km", "GEOPOS g centre edge1", "EXEC",
             "ZRANGE g 0 -1"),
)  # fmt: skip
def test_positions(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("circles", SICILY, "GEORADIUS g 15 37 200 km", "GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH",
             "GEORADIUS g 15 37 200 km WITHHASH", "GEORADIUS g 15 37 200 km WITHCOORD", "GEORADIUS g 15 37 0 km",
             "GEORADIUS g 15 37 inf km", "GEORADIUS g 15 37 1e300 km", "GEORADIUS g 15 37 1e308 km WITHDIST",
             "GEORADIUS g 15 37 100 MI", "GEORADIUS g 15 37 600000 ft WITHDIST", "GEORADIUS g 15 37 -0 m",
             "GEORADIUS_RO g 15 37 200 km WITHDIST", "GEORADIUS nosuch 15 37 200 km"),
    scenario("circles around members", SICILY, "GEORADIUSBYMEMBER g Palermo 200 km WITHDIST",
             "GEORADIUSBYMEMBER g nosuch 200 km WITHDIST", "GEORADIUSBYMEMBER_RO g Catania 100 mi ASC WITHDIST",
             "GEORADIUSBYMEMBER g Palermo 0 m", "GEORADIUSBYMEMBER nosuch nosuch 200 km",
             "GEORADIUSBYMEMBER_RO nosuch a 1 m"),
    scenario("boxes", SICILY, "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 1 km", "GEOSEARCH g FROMMEMBER Palermo BYBOX 200 200 km",
             "GEOSEARCH g FROMMEMBER Palermo BYBOX 0 0 m", "GEOSEARCH g FROMMEMBER Palermo BYBOX inf 1 m",
             "GEOSEARCH g FROMMEMBER Palermo BYBOX 1 inf m", "GEOSEARCH g FROMMEMBER Palermo BYBOX 1e308 1e308 km",
             "GEOSEARCH g FROMMEMBER Palermo BYBOX 1e200 1 km", "GEOSEARCH nosuch FROMLONLAT 1 1 BYBOX 1 1 km"),
    scenario("order and count", SICILY, "GEORADIUS g 15 37 500 km", "GEORADIUS g 15 37 500 km ASC WITHDIST",
             "GEORADIUS g 15 37 500 km DESC", "GEORADIUS g 15 37 500 km COUNT 2",
             "GEORADIUS g 15 37 500 km COUNT 2 DESC", "GEORADIUS g 15 37 500 km COUNT 2 ANY",
             "GEORADIUS g 15 37 500 km ANY COUNT 3 ASC", "GEORADIUS g 15 37 500 km ANY COUNT 3 DESC WITHDIST",
             "GEORADIUS g 15 37 500 km COUNT 1 COUNT 2", "GEORADIUS g 15 37 500 km ASC DESC",
             "GEORADIUS g 15 37 500 km DESC ASC", "GEORADIUS g 15 37 500 km COUNT 99",
             "GEOSEARCH g frommember Palermo byradius 200 KM withdist withhash withcoord count 5 any asc",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 999 999 km COUNT 9223372036854775807"),
    scenario("members at one place come in their order", "GEOADD g 15 37.5 p1 15 37.5 p3 15 37.5 p2 14 37 q",
             "GEORADIUS g 15 37 200 km ASC", "GEORADIUS g 15 37 200 km DESC", "GEORADIUS g 15 37 200 km COUNT 2 DESC",
             "GEORADIUS g 15 37 200 km COUNT 2 ANY DESC WITHDIST", "GEORADIUS g 15 37 200 km COUNT 3 WITHDIST"),
    scenario("some of many members at one place", TIED, "GEORADIUS g 15 37 100 km", "GEORADIUS g 15 37 100 km ASC",
             "GEORADIUS g 15 37 100 km DESC", "GEORADIUS g 15 37 100 km COUNT 60",
             "GEORADIUS g 15 37 100 km COUNT 30 ANY",
             deviates("GEORADIUS g 15 37 100 km COUNT 3", "geo-ties",
                      b"*3\r\n$3\r\nm00\r\n$3\r\nm03\r\n$3\r\nm06\r\n")),
    scenario("around the edges of the map", ENDS, "GEORADIUS e 180 85 1000 km", "GEORADIUS e 180 85 100000 km",
             "GEORADIUS e 180 12 100 km", "GEORADIUS e 179.9 12 100 km", "GEORADIUS e -180 12 100 km",
             "GEORADIUS e 180 0 1000 km", "GEORADIUS e -180 0 1000 km", "GEORADIUS e 179.99 0 5000 km WITHDIST",
             "GEORADIUS e 0 85.05112878 5000 km", "GEORADIUS e -180 -85.05112878 5000 km", "GEORADIUS e 0 0 20100 km",
             "GEOSEARCH e FROMMEMBER a BYBOX 40000 40000 km", "GEOSEARCH e FROMMEMBER f BYBOX 1000 1000 km",
             "GEOSEARCH e FROMMEMBER k BYRADIUS 6000 mi WITHDIST", "GEOSEARCH e FROMLONLAT 0 84 BYBOX 5000 500 km"),
    scenario("all over the world", WORLD, "GEORADIUS w 0 0 5000 km", "GEORADIUS w 0 0 10000 km WITHDIST",
             "GEORADIUS w 179 0 3000 km", "GEORADIUS w 20 82 2000 km", "GEORADIUS w -100 -79 2500 km",
             "GEORADIUS w 100 66.5 1500 km", "GEORADIUS w 0 0 20000 km", "GEORADIUS w 10 10 100000 km COUNT 7",
             "GEORADIUSBYMEMBER w m17 3000 km", "GEOSEARCH w FROMMEMBER m99 BYBOX 9000 3000 km ASC WITHDIST",
             "GEOSEARCH w FROMLONLAT 50 70 BYBOX 3000 9000 km", "GEORADIUSBYMEMBER w m1 6000 km COUNT 3 ANY",
             "GEORADIUS w 0 0 9000 km COUNT 40 ANY", "GEORADIUS w 0 0 9000 km COUNT 10 DESC"),
    scenario("more than a page", FILL, "GEORADIUS g 14 37.5 30 km WITHDIST WITHHASH WITHCOORD",
             "GEORADIUS g 14 37.5 150 km", "GEORADIUS g 14 37.5 1000 km", "GEORADIUS g 14 37.5 1000 km COUNT 3000",
             "GEORADIUS g 14 37.5 1000 km DESC", "GEORADIUSBYMEMBER g m77 3 km WITHDIST",
             "GEOSEARCH g FROMMEMBER m1 BYBOX 30 300 km", "GEOSEARCH g FROMMEMBER m1 BYBOX 3000 20 km COUNT 10",
             "GEORADIUS g 14 37.5 500 km COUNT 2700 ANY", "GEORADIUS g 14 37.5 500 km COUNT 1 ANY",
             "GEORADIUS g 13 37 5 km STOREDIST d", "ZCARD d", "GEOSEARCHSTORE d g FROMLONLAT 14 37 BYRADIUS 200 km",
             "ZCARD d", "GEORADIUS d 14 37 100 km COUNT 100", "OBJECT ENCODING d", "ZREM g m5 m6 m7",
             "GEOADD g 14 37.5 m8 14 37.5 m9", "GEORADIUS g 14 37.5 2 km", "GEORADIUSBYMEMBER g m8 2 km"),
)  # fmt: skip
def test_searches(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("what is found is stored", SICILY, "GEORADIUS g 15 37 200 km STORE d", "ZRANGE d 0 -1 WITHSCORES",
             "GEORADIUSBYMEMBER g Palermo 200 km STOREDIST e", "ZRANGE e 0 -1 WITHSCORES", "OBJECT ENCODING e",
             "GEOSEARCHSTORE f g FROMMEMBER Palermo BYBOX 200 200 km", "ZRANGE f 0 -1 WITHSCORES",
             "GEOSEARCHSTORE f g FROMMEMBER Palermo BYRADIUS 200 km STOREDIST COUNT 1 DESC", "ZRANGE f 0 -1 WITHSCORES",
             "GEORADIUS g 15 37 200 km COUNT 1 STORE d", "ZRANGE d 0 -1",
             "GEORADIUS g 15 37 200 km STORE d COUNT 1 ANY", "ZRANGE d 0 -1", oracle="redis74"),
    scenario("the target is overwritten", SICILY, "SET d x", "EXPIRE d 100", "GEORADIUS g 15 37 200 km STORE d",
             "TYPE d", "TTL d", "EXPIRE d 100", "GEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 1 1 km", "ZRANGE d 0 -1",
             "TTL d", "GEORADIUS g 0 0 1 m STORE d", "EXISTS d", "SET d x", "GEORADIUS g 0 0 1 m STOREDIST d",
             "EXISTS d", "SET d x", "GEOSEARCHSTORE d nosuch FROMMEMBER a BYBOX 1 1 km", "EXISTS d", "SET d x",
             "GEORADIUSBYMEMBER nosuch a 1 m STORE d", "EXISTS d"),
    scenario("the source may be the target", SICILY, "GEORADIUS g 15 37 200 km STORE g", "ZRANGE g 0 -1 WITHSCORES",
             "GEOSEARCHSTORE g g FROMMEMBER Palermo BYRADIUS 1 km STOREDIST", "ZRANGE g 0 -1 WITHSCORES",
             "GEORADIUS g 50 50 1 m STORE g", "EXISTS g"),
    scenario("the last target counts", SICILY, "GEORADIUS g 15 37 200 km STOREDIST a STORE b", "EXISTS a",
             "ZRANGE b 0 -1 WITHSCORES", "GEORADIUS g 15 37 200 km STORE c STOREDIST d", "EXISTS c",
             "ZRANGE d 0 -1 WITHSCORES", "GEORADIUS g 15 37 200 km STORE x STORE y", "EXISTS x", "ZRANGE y 0 -1",
             "GEORADIUS g 15 37 200 km STORE WITHDIST", "EXISTS WITHDIST",
             "GEORADIUSBYMEMBER g Palermo 1 m STORE STORE", "EXISTS STORE",
             "COMMAND GETKEYS GEORADIUS g 15 37 200 km STORE x STORE y",
             "COMMAND GETKEYS GEORADIUS g 15 37 200 km STORE c STOREDIST d",
             "COMMAND GETKEYS GEORADIUSBYMEMBER g m 200 km STORE a", "COMMAND GETKEYS GEORADIUS g 15 37 200 STORE c",
             "COMMAND GETKEYS GEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 1 1 km", oracle="redis74"),
    scenario("nothing else can be told of what is stored", SICILY, "GEORADIUS g 15 37 200 km STORE a WITHDIST",
             "GEORADIUS g 15 37 200 km WITHCOORD STORE a", "georadiusbymember g Palermo 200 km WITHHASH STOREDIST a",
             "geosearchstore d g FROMMEMBER Palermo BYRADIUS 200 km WITHDIST",
             "GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 200 km WITHDIST ANY",
             "GEOSEARCHSTORE d g WITHDIST BYBOX 200 200 km ASC ASC", "GEORADIUS g 15 37 200 km ANY STORE a WITHDIST",
             "GEORADIUS_RO g 15 37 200 km STORE c", "GEORADIUS_RO g 15 37 200 km STOREDIST c",
             "GEORADIUSBYMEMBER_RO g Palermo 200 km STORE c", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km STORE a",
             "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", "EXISTS a c d"),
)  # fmt: skip
def test_storing(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("radius and unit", SICILY, "GEORADIUS g 15 37 200 foo", "GEORADIUS g 15 37 abc km",
             "GEORADIUS g 15 37 -1 km", "GEORADIUS g 15 37 -1 foo", "GEORADIUS g 15 37 nan km",
             "GEORADIUS g a 37 0 foo", "GEORADIUS g 200 37 0 foo", "GEORADIUS g 15 37 a foo",
             "GEORADIUSBYMEMBER g nosuch 200 foo", "GEORADIUSBYMEMBER g Palermo 200 foo",
             "GEORADIUSBYMEMBER g Palermo a foo", "GEORADIUSBYMEMBER g Palermo -1 m", "GEORADIUS g 15 37 200",
             "GEORADIUSBYMEMBER g Palermo 200", "GEORADIUS g 15 37 nan m STORE g"),
    scenario("arguments are judged without a key", "GEORADIUSBYMEMBER nosuch a 200 foo",
             "GEORADIUSBYMEMBER nosuch a x km FOO", "GEORADIUSBYMEMBER nosuch a x m COUNT 0",
             "GEORADIUSBYMEMBER nosuch a x m ANY", "GEORADIUS nosuch 15 370 200 km", "GEORADIUS nosuch a b c d",
             "GEORADIUS nosuch 1 2 c d", "GEORADIUS nosuch 1 2 3 d", "GEORADIUS nosuch 1 2 3 m FOO",
             "GEOSEARCH nosuch FROMMEMBER a BYRADIUS 1 m", "GEOSEARCH nosuch FROMMEMBER a BYRADIUS x m",
             "GEOSEARCH nosuch FROMMEMBER a BYRADIUS 1 m ANY",
             "GEOSEARCH nosuch FROMMEMBER a FROMLONLAT 15 37 BYRADIUS 1 m",
             "GEOSEARCH nosuch FROMMEMBER a BYRADIUS 1 m STORE a", "GEOSEARCHSTORE d nosuch BYBOX 200 200 km ASC ASC"),
    scenario("a key of another type is refused first", "SET s 1", "GEORADIUS s a b c d", "GEORADIUS_RO s a b c d",
             "GEORADIUSBYMEMBER s a b c", "GEORADIUSBYMEMBER_RO s a b c FOO", "GEOSEARCH s foo bar baz blurb bla",
             "GEOSEARCHSTORE d s foo bar baz blurb bla", "GEORADIUS s 1 1 1 km STORE s", "GET s",
             "GEOSEARCH s FROMMEMBER"),
    scenario("options", SICILY, "GEORADIUS g 15 37 200 km FOO", "GEORADIUS g 15 37 200 km COUNT",
             "GEORADIUS g 15 37 200 km COUNT 0", "GEORADIUS g 15 37 200 km COUNT -1",
             "GEORADIUS g 15 37 200 km COUNT a", "GEORADIUS g 15 37 200 km COUNT 9223372036854775808",
             "GEORADIUS g 15 37 200 km ANY", "GEORADIUS_RO g 15 37 200 km ANY ASC",
             "GEORADIUSBYMEMBER g Palermo 200 km ANY", "GEORADIUS g 15 37 200 km COUNT 0 ANY",
             "GEORADIUS g 15 37 200 km STORE", "GEORADIUS g 15 37 200 km FROMMEMBER Palermo",
             "GEORADIUS g 15 37 200 km FROMLONLAT 1 1", "GEORADIUS g 15 37 200 km BYRADIUS 1 m",
             "GEORADIUS g 15 37 200 km BYBOX 1 1 m"),
    scenario("one centre and one shape", SICILY, "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km BYBOX 400 400 km",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km BYRADIUS 200 km",
             "GEOSEARCH g FROMLONLAT 15 37 FROMMEMBER Palermo BYBOX 400 400 km",
             "GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 15 37 BYBOX 400 400 km",
             "GEOSEARCH g FROMMEMBER Palermo FROMMEMBER Catania BYBOX 400 400 km",
             "GEOSEARCH g FROMLONLAT 1 1 FROMLONLAT 15 37 BYBOX 200 200 km",
             "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km BYRADIUS 200 km",
             "GEOSEARCH g FROMMEMBER Catania BYBOX 1 1 km BYBOX 400 400 km", "GEOSEARCH g BYBOX 400 400 km ASC",
             "geosearch g BYBOX 400 400 km ASC ASC", "GeoSearchStore d g BYBOX 400 400 km ASC ASC",
             "GEOSEARCH g FROMLONLAT 15 37 ASC ASC ASC", "GEOSEARCH g FROMLONLAT 15 37 ASC WITHCOORD WITHHASH",
             "GEOSEARCH g ANY ASC ASC WITHDIST WITHDIST", "GEOSEARCH g ANY FROMMEMBER Palermo ASC WITHDIST",
             "GEOSEARCHSTORE d g FROMMEMBER Palermo ASC ASC ASC ASC"),
    scenario("centre and shape are judged as they come", SICILY, "GEOSEARCH g FROMLONLAT 15 37 BYBOX a 400 km",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 a km", "GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 400 km",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 -400 km", "GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 -400 foo",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 a foo", "GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1 foo",
             "GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1",
             "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS -1 foo", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS -1 m",
             "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS a m", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 foo",
             "GEOSEARCH g FROMLONLAT 15 a BYRADIUS a m", "GEOSEARCH g FROMLONLAT 1500 a BYRADIUS a m",
             "GEOSEARCH g FROMLONLAT 1500 1 BYRADIUS a m", "GEOSEARCH g FROMMEMBER nosuch BYRADIUS a m",
             "GEOSEARCH g BYRADIUS a m FROMMEMBER nosuch", "GEOSEARCH g FROMMEMBER nosuch BYRADIUS 1 m",
             "GEOSEARCH g BYRADIUS 1 m ASC FROMMEMBER", "GEOSEARCH g BYRADIUS 1 m FROMLONLAT 1",
             "GEOSEARCH g FROMLONLAT 1 FROMMEMBER BYBOX 1 1 km",
             "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km COUNT 0 FOO",
             "GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 m STOREDIST a", "GEOSEARCHSTORE d g FROMMEMBER nosuch",
             "GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 m STORE x", "EXISTS d"),
)  # fmt: skip
def test_arguments(play: Play, case: Scenario) -> None:
    play(case)
