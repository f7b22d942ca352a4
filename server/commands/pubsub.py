"""Publish and subscribe: SUBSCRIBE, PUBLISH and their kin for patterns and shard channels, and PUBSUB.

No storage is touched.  The clients of this instance hear each other; the commands that a subscriber may use in RESP2
are told in `server/planning.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.encoder import encode
from protocol.errors import CommandError
from protocol.replies import Push, Reply, Simple
from server.arguments import Args
from server.keyspecs import Keys
from server.pubsub import Kind
from server.registry import Is, command, container
from server.session import Pushes, Session

_LISTENS = Is.PUBSUB | Is.NOSCRIPT | Is.LOADING | Is.STALE
_SPEAKS = Is.PUBSUB | Is.LOADING | Is.STALE | Is.FAST
_LOOKS = Is.PUBSUB | Is.LOADING | Is.STALE

#: Shard channels belong to slots of a cluster as keys do, and are none.
_SHARD_CHANNELS = (Keys(1, -1, 1, "not_key"),)
_SHARD_CHANNEL = (Keys(1, 1, 1, "not_key"),)

#: What is counted in the answers: channels and patterns together, shard channels apart.
_COUNTED_WITH = {
    Kind.CHANNEL: (Kind.CHANNEL, Kind.PATTERN),
    Kind.PATTERN: (Kind.CHANNEL, Kind.PATTERN),
    Kind.SHARD_CHANNEL: (Kind.SHARD_CHANNEL,),
}


# -- listening


@command("SUBSCRIBE", arity=-2, flags=_LISTENS, group="pubsub", since="2.0.0", syntax="channel [channel ...]",
         complexity="O(N) with N channels")
def subscribe(session: Session, args: Args) -> Pushes:
    """Listen to channels: what is published there is sent to this connection."""
    return _subscribe(session, Kind.CHANNEL, b"subscribe", args[1:])


@command("PSUBSCRIBE", arity=-2, flags=_LISTENS, group="pubsub", since="2.0.0", syntax="pattern [pattern ...]",
         complexity="O(N) with N patterns")
def psubscribe(session: Session, args: Args) -> Pushes:
    """Listen to all channels whose names match one of the patterns."""
    return _subscribe(session, Kind.PATTERN, b"psubscribe", args[1:])


@command("SSUBSCRIBE", arity=-2, flags=_LISTENS, keys=_SHARD_CHANNELS, group="pubsub", since="7.0.0",
         syntax="shardchannel [shardchannel ...]", complexity="O(N) with N shard channels")
def ssubscribe(session: Session, args: Args) -> Pushes:
    """Listen to shard channels."""
    if session.in_exec:
        raise CommandError(b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")

    return _subscribe(session, Kind.SHARD_CHANNEL, b"ssubscribe", args[1:])


@command("UNSUBSCRIBE", arity=-1, flags=_LISTENS, group="pubsub", since="2.0.0", syntax="[channel [channel ...]]",
         complexity="O(N) with N channels")
def unsubscribe(session: Session, args: Args) -> Pushes:
    """Listen no more to these channels, or to any."""
    return _unsubscribe(session, Kind.CHANNEL, b"unsubscribe", args[1:])


@command("PUNSUBSCRIBE", arity=-1, flags=_LISTENS, group="pubsub", since="2.0.0", syntax="[pattern [pattern ...]]",
         complexity="O(N) with N patterns")
def punsubscribe(session: Session, args: Args) -> Pushes:
    """Listen no more to the channels that match these patterns, or any."""
    return _unsubscribe(session, Kind.PATTERN, b"punsubscribe", args[1:])


@command("SUNSUBSCRIBE", arity=-1, flags=_LISTENS, keys=_SHARD_CHANNELS, group="pubsub", since="7.0.0",
         syntax="[shardchannel [shardchannel ...]]", complexity="O(N) with N shard channels")
def sunsubscribe(session: Session, args: Args) -> Pushes:
    """Listen no more to these shard channels, or to any."""
    return _unsubscribe(session, Kind.SHARD_CHANNEL, b"sunsubscribe", args[1:])


def _subscribe(session: Session, kind: Kind, word: bytes, names: Iterable[bytes]) -> Pushes:
    pubsub = session.instance.pubsub
    answers = []
    for name in names:
        pubsub.subscribe(session, kind, name)
        answers.append(_told(session, kind, word, name))
    return Pushes(b"".join(answers))


def _unsubscribe(session: Session, kind: Kind, word: bytes, names: list[bytes]) -> Pushes:
    pubsub = session.instance.pubsub
    answers = []
    for name in names or pubsub.names_of(session, kind):
        pubsub.unsubscribe(session, kind, name)
        answers.append(_told(session, kind, word, name))
    return Pushes(b"".join(answers) or _told(session, kind, word, None))


def _told(session: Session, kind: Kind, word: bytes, name: bytes | None) -> bytes:
    """The answer for one name, with what the client listens to now."""
    count = session.instance.pubsub.count_of(session, *_COUNTED_WITH[kind])
    return encode(Push((word, name, count)), session.version)


# -- speaking


@command("PUBLISH", arity=3, flags=_SPEAKS, group="pubsub", since="2.0.0", syntax="channel message",
         complexity="O(N+M) with N listeners of the channel and M patterns of all clients")
def publish(session: Session, args: Args) -> Reply:
    """Send a message to all who listen to a channel, and count them."""
    return session.instance.pubsub.publish(args[1], args[2], session)


@command("SPUBLISH", arity=3, flags=_SPEAKS, keys=_SHARD_CHANNEL, group="pubsub", since="7.0.0",
         syntax="shardchannel message", complexity="O(N) with N listeners of the shard channel")
def spublish(session: Session, args: Args) -> Reply:
    """Send a message to all who listen to a shard channel, and count them."""
    return session.instance.pubsub.publish_shard(args[1], args[2], session)


# -- looking


container("PUBSUB", group="pubsub", since="2.8.0", summary="Look at channels, patterns and their listeners")


@command("PUBSUB CHANNELS", arity=-2, flags=_LOOKS, group="pubsub", since="2.8.0", syntax="[pattern]",
         complexity="O(N) with N channels that have listeners")
def pubsub_channels(session: Session, args: Args) -> Reply:
    """Give the channels that somebody listens to, or those of them that match a pattern."""
    return _names(session, Kind.CHANNEL, args)


@command("PUBSUB SHARDCHANNELS", arity=-2, flags=_LOOKS, group="pubsub", since="7.0.0", syntax="[pattern]",
         complexity="O(N) with N shard channels that have listeners")
def pubsub_shardchannels(session: Session, args: Args) -> Reply:
    """Give the shard channels that somebody listens to, or those of them that match a pattern."""
    return _names(session, Kind.SHARD_CHANNEL, args)


@command("PUBSUB NUMSUB", arity=-2, flags=_LOOKS, group="pubsub", since="2.8.0", syntax="[channel [channel ...]]",
         complexity="O(N) with N channels asked for")
def pubsub_numsub(session: Session, args: Args) -> Reply:
    """Count the listeners of channels, without those by a pattern."""
    return _numbers(session, Kind.CHANNEL, args[2:])


@command("PUBSUB SHARDNUMSUB", arity=-2, flags=_LOOKS, group="pubsub", since="7.0.0",
         syntax="[shardchannel [shardchannel ...]]", complexity="O(N) with N shard channels asked for")
def pubsub_shardnumsub(session: Session, args: Args) -> Reply:
    """Count the listeners of shard channels."""
    return _numbers(session, Kind.SHARD_CHANNEL, args[2:])


@command("PUBSUB NUMPAT", arity=2, flags=_LOOKS, group="pubsub", since="2.8.0")
def pubsub_numpat(session: Session, args: Args) -> Reply:
    """Count the patterns that somebody listens to."""
    return session.instance.pubsub.number_of_names(Kind.PATTERN)


def _names(session: Session, kind: Kind, args: Args) -> Reply:
    if len(args) > 3:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try PUBSUB HELP."
            % args[1].partition(b"\0")[0]
        )

    return session.instance.pubsub.names(kind, args[2] if len(args) == 3 else None)


def _numbers(session: Session, kind: Kind, names: list[bytes]) -> Reply:
    pubsub = session.instance.pubsub
    reply: list[bytes | int] = []
    for name in names:
        reply += name, pubsub.number_of_listeners(kind, name)
    return reply


_HELP = [
    Simple(line)
    for line in (
        b"PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CHANNELS [<pattern>]",
        b"    Give the channels that somebody listens to (that match a <pattern>).",
        b"NUMPAT",
        b"    Count the patterns that somebody listens to.",
        b"NUMSUB [<channel> ...]",
        b"    Count the listeners of each channel.",
        b"    Those who listen by a pattern do not count.",
        b"SHARDCHANNELS [<pattern>]",
        b"    Give the shard channels that somebody listens to (that match a <pattern>).",
        b"SHARDNUMSUB [<shardchannel> ...]",
        b"    Count the listeners of each shard channel.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("PUBSUB HELP", arity=2, flags=Is.LOADING | Is.STALE, group="pubsub", since="6.2.0", cuts=False)
def pubsub_help(session: Session, args: Args) -> Reply:
    """Say what PUBSUB can do."""
    return _HELP
