"""The table of directives: every setting of Rowdis, and every directive of Redis that it knows.

This is the one place that says what a directive is called, what it takes, what it is worth by default and whether it
does anything. The command line, the configuration file, the environment, CONFIG GET, SET and REWRITE, `--help` and
docs/configuration.md are all derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from server.directive_kinds import (
    INT_MAX,
    LONG_MAX,
    UINT_MAX,
    BufferLimits,
    Choice,
    Choices,
    DatabaseUrl,
    EventClasses,
    Integer,
    Kind,
    Memory,
    MemoryOrPercent,
    Numbers,
    Octal,
    OutputBufferLimits,
    Percentiles,
    SavePoints,
    Text,
    Words,
    WorkingDirectory,
    YesNo,
)


class Standing(Enum):
    """What becomes of a value other than the default."""

    #: It takes effect.
    HONOURED = "honoured"
    #: A directive of Redis without meaning here: the value is kept and shown, and a warning says why it does nothing.
    WARNED = "warned of"
    #: A directive of Redis whose other values would promise something that is not kept: they are errors.
    REFUSED = "refused"


@dataclass(frozen=True)
class Directive:
    """One directive.

    `default` is the text that CONFIG GET shows; `about` says what the directive does or, where it is not honoured,
    why it does nothing. `attribute` is the name under which `Settings` holds the value. `locked` is the reason that
    CONFIG SET gives for not changing it ("" if it may change while the server runs).
    """

    name: str
    kind: Kind[Any]
    default: str
    group: str
    about: str
    standing: Standing = Standing.HONOURED
    locked: str = ""
    aliases: tuple[str, ...] = ()
    attribute: str = ""

    @property
    def mutable(self) -> bool:
        """Whether CONFIG SET may change it."""
        return not self.locked

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases, all of which CONFIG GET lists."""
        return (self.name, *self.aliases)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "ROWDIS_" + self.name.upper().replace("-", "_")

    def default_value(self) -> Any:
        """The default as a value."""
        if isinstance(self.kind, OutputBufferLimits):
            return BufferLimits()
        return self.kind.parse([self.default])


IMMUTABLE = "can't set immutable config"
PROTECTED = "can't set protected config"

NETWORK = "Network"
ACCESS = "Access"
CLIENTS = "Clients"
STORAGE = "Storage"
LOGGING = "Logging and process"
ENCODINGS = "Encodings"
OBSERVATION = "Observation"
MESSAGES = "Messages"

#: Groups of honoured directives in the order of help and documentation, with a sentence about each.
GROUPS = {
    NETWORK: "Where Rowdis listens.",
    STORAGE: "Where the data are and how the database is used.",
    ACCESS: "Who may use the server.",
    CLIENTS: "Limits for clients.",
    LOGGING: "What the program tells and how it ends.",
    ENCODINGS: "How values are laid out.",
    OBSERVATION: "What is noted of slow commands.",
    MESSAGES: "What clients are told of keys.",
}


def _plain(
    name: str, kind: Kind[Any], default: str, group: str, about: str, *, fixed: bool = False, **more: Any
) -> Directive:
    """A directive that does what it says; `fixed` if it can not change while the server runs."""
    more.setdefault("attribute", name.replace("-", "_"))
    more.setdefault("locked", IMMUTABLE if fixed else "")
    return Directive(name, kind, default, group, about, **more)


_YES_NO = YesNo()
_COUNT = Integer(0, LONG_MAX)
_SMALL = Integer(0, INT_MAX)
_PORT = Integer(0, 65535, "PORT")
_SECONDS = Integer(0, INT_MAX, "SECONDS")
_MEMORY = Memory()
_PATH = Text("PATH")
_TEXT = Text()
_PREFIX = Text("PREFIX", r"[A-Za-z0-9_]{0,32}", "argument must be at most 32 letters, digits and underscores")
_HOST_NAME = Text("NAME", r"[A-Za-z0-9.-]*", "Hostnames may only contain alphanumeric characters, hyphens or dots")
_NODE_NAME = Text("NAME", r"[^!#$%&()*+:;<>?@\[\]^{|}~]*", "Announced human node name contained invalid character")
#: Those that order text by its bytes, as Rowdis does; Redis knows more where the machine does.
_LOCALE = Text("LOCALE", r"|C|POSIX|C\.(UTF-8|utf8)", "Invalid locale name")
_LOCAL_SWITCH = Choice("no", "yes", "local")
_POLICIES = (
    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
    "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
)  # fmt: skip
_FACILITIES = ("user", *(f"local{n}" for n in range(8)))

HONOURED = (
    _plain("port", _PORT, "6379", NETWORK, "TCP port; 0 listens on no TCP port.", fixed=True),
    _plain(
        "bind", Words("ADDRESS ...", 16, "Too many bind addresses specified."), "* -::*", NETWORK,
        "Addresses to listen on. * means every IPv4 address, ::* every IPv6 address; an address that begins with - "
        "may be missing on this machine.",
        fixed=True,
    ),
    _plain("unixsocket", _PATH, "", NETWORK, "Path of a Unix socket to listen on as well.", fixed=True),
    _plain("unixsocketperm", Octal(), "0", NETWORK, "Mode of the Unix socket, in octal; 0 leaves it to the umask.",
           fixed=True),
    _plain("tcp-backlog", _SMALL, "511", NETWORK, "Connections that may wait to be accepted.", fixed=True),
    _plain("tcp-keepalive", _SECONDS, "300", NETWORK,
           "Idle seconds after which TCP asks whether a client is still there; 0 never asks.",
           attribute="tcp_keepalive_s"),
    _plain(
        "database", DatabaseUrl(), "embedded:./rowdis-data", STORAGE,
        "The database that holds the data. embedded:DIRECTORY runs the built-in OceanBase engine there; "
        "mysql://user:password@host:3306/database, mariadb://... and "
        "oceanbase://user@tenant:password@host:2881/database use a server. CONFIG GET shows no password.",
        fixed=True,
    ),
    _plain("databases", Integer(1, INT_MAX), "16", STORAGE, "How many logical databases SELECT offers.", fixed=True),
    _plain("table-prefix", _PREFIX, "rowdis_", STORAGE, "What the names of all tables begin with.", fixed=True),
    _plain("workers", Integer(1, 256), "4", STORAGE,
           "Threads that execute batches of commands, each with its own connection to the database.", fixed=True),
    _plain("storage-timeout", Integer(1, INT_MAX, "MILLISECONDS"), "10000", STORAGE,
           "Milliseconds that a command may take, waiting and trying again included, before its client gets an error. "
           "The limits of single statements in the database stay as they were at the start.",
           attribute="storage_timeout_ms"),
    _plain("storage-start-timeout", Integer(0, INT_MAX, "MILLISECONDS"), "30000", STORAGE,
           "Milliseconds to keep trying at start while the database does not answer.",
           attribute="storage_start_timeout_ms", fixed=True),
    _plain("sweep-interval", Integer(1, INT_MAX, "MILLISECONDS"), "1000", STORAGE,
           "Milliseconds between two searches for expired keys and for rows of deleted ones.",
           attribute="sweep_interval_ms", fixed=True),
    _plain("requirepass", Text("PASSWORD"), "", ACCESS, "Password that AUTH asks for; empty asks for none."),
    _plain("protected-mode", _YES_NO, "yes", ACCESS,
           "Without a password, serve only clients of this machine (loopback addresses and the Unix socket)."),
    _plain("enable-debug-command", _LOCAL_SWITCH, "no", ACCESS,
           "Who may use DEBUG: nobody, everybody, or clients of this machine.", fixed=True),
    _plain("maxclients", Integer(1, UINT_MAX), "10000", CLIENTS, "Clients at once; one more gets an error."),
    _plain("busy-reply-threshold", _COUNT, "5000", CLIENTS,
           "Milliseconds that a script may run until other clients are refused with BUSY and it can be ended by SCRIPT "
           "KILL; 0 for as long as it likes.",
           attribute="busy_reply_threshold_ms", aliases=("lua-time-limit",)),
    _plain("tracking-table-max-keys", _COUNT, "1000000", CLIENTS,
           "Keys remembered for CLIENT TRACKING; of one more, the oldest is told as if changed. 0 sets no limit."),
    _plain("timeout", _SECONDS, "0", CLIENTS, "Seconds after which an idle client is closed; 0 never closes one.",
           attribute="timeout_s"),
    _plain("proto-max-bulk-len", Memory(1 << 20), "536870912", CLIENTS,
           "Largest single argument, and so largest value."),
    _plain("client-query-buffer-limit", Memory(1 << 20), "1073741824", CLIENTS,
           "Bytes of unfinished requests at which a client is closed."),
    _plain(
        "client-output-buffer-limit", OutputBufferLimits(),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", CLIENTS,
        "Bytes of unread replies at which a client is closed: at once above the hard limit, after some seconds above "
        "the soft one. 0 sets no limit. Classes: normal, replica, pubsub.",
    ),
    _plain("loglevel", Choice("debug", "verbose", "notice", "warning", "nothing"), "notice", LOGGING,
           "How much is logged."),
    _plain("logfile", _PATH, "", LOGGING, "File to log to; empty logs to standard output.", fixed=True),
    _plain("dir", WorkingDirectory(), "", LOGGING,
           "Directory in which relative paths of other directives begin; empty is the one Rowdis was started in.",
           locked=PROTECTED),
    _plain("shutdown-timeout", _SECONDS, "10", LOGGING, "Seconds that running commands get to end at shutdown.",
           attribute="shutdown_timeout_s"),
    _plain("hll-sparse-max-bytes", _MEMORY, "3000", ENCODINGS,
           "Longest sparse HyperLogLog; longer ones become dense."),
    _plain("slowlog-log-slower-than", Integer(-1, LONG_MAX, "MICROSECONDS"), "10000", OBSERVATION,
           "Microseconds from which on a command comes into the slow log; 0 logs every command, -1 none."),
    _plain("slowlog-max-len", _COUNT, "128", OBSERVATION, "Entries of the slow log; the oldest one makes room."),
    _plain("latency-monitor-threshold", Integer(0, LONG_MAX, "MILLISECONDS"), "0", OBSERVATION,
           "Milliseconds from which on LATENCY notes a command, or a batch of commands; 0 notes none."),
    _plain("latency-tracking", _YES_NO, "yes", OBSERVATION,
           "Keep a distribution of the durations of each command, for LATENCY HISTOGRAM and INFO latencystats."),
    _plain("latency-tracking-info-percentiles", Percentiles(), "50 99 99.9", OBSERVATION,
           "The percentiles that INFO latencystats tells."),
    _plain("notify-keyspace-events", EventClasses(), "", MESSAGES,
           "Events of keys that are published: K by key, E by event; g generic, $ strings, l lists, s sets, h hashes, "
           "z sorted sets, t streams, x expired, A all of these; n new keys, m misses. Empty: none."),
)  # fmt: skip


SNAPSHOTS = "there are no snapshot files: every acknowledged write is in a committed transaction of the database"
APPEND_ONLY = "there is no append-only file: every acknowledged write is in a committed transaction of the database"
MEMORY = "the data are rows of the database: nothing is evicted, and no limit of memory holds for them"
LAZY_FREE = "deleted data are always removed in the background"
EXPIRY = "expired keys are removed by the sweeper: see sweep-interval"
ALLOCATOR = "Rowdis has no memory allocator of its own to tune"
REPLICATION = "Rowdis has no replication of its own: replicate the database, and run several instances on it"
CLUSTER = "Redis Cluster is not spoken: several instances on one database serve all keys each"
TLS = "TLS for clients is not supported yet"
ACL = "ACL users are not supported yet"
MODULES = "modules of Redis can not be loaded"
PROCESS = "Rowdis leaves this to the system and to the service manager that runs it"
THREADS = "Rowdis has storage workers instead: see workers"
STRUCTURES = "the data are rows of the database, not structures in memory"


def _row(
    name: str,
    kind: Kind[Any],
    default: str,
    *aliases: str,
    fixed: bool = False,
    refused: bool = False,
    locked: str = "",
) -> Directive:
    """A directive of Redis without meaning here, whose group and reason `_because` fills in."""
    return Directive(
        name,
        kind,
        default,
        group="",
        about="",
        standing=Standing.REFUSED if refused else Standing.WARNED,
        locked=IMMUTABLE if fixed else locked,
        aliases=aliases,
    )


def _because(reason: str, *rows: Directive) -> tuple[Directive, ...]:
    """The directives that do nothing for one and the same reason, which also groups them."""
    return tuple(replace(row, group=reason, about=reason) for row in rows)


#: Directives of Redis that mean nothing here. The defaults are those of Redis, so that programs that read them find
#: what they expect, except where that would be untrue: `appendonly`, `appendfsync` and `save` are read as promises of
#: durability, and every write here is durable before it is acknowledged.
KNOWN = (
    *_because(
        SNAPSHOTS,
        _row("save", SavePoints(), ""),
        _row("dbfilename", _PATH, "dump.rdb", locked=PROTECTED),
        _row("rdbchecksum", _YES_NO, "yes", fixed=True),
        _row("rdbcompression", _YES_NO, "yes"),
        _row("rdb-del-sync-files", _YES_NO, "no"),
        _row("rdb-save-incremental-fsync", _YES_NO, "yes"),
        _row("sanitize-dump-payload", Choice("no", "yes", "clients"), "no"),
        _row("stop-writes-on-bgsave-error", _YES_NO, "yes"),
        _row("shutdown-on-sigint", Choices("default", "save", "nosave", "now", "force"), "default"),
        _row("shutdown-on-sigterm", Choices("default", "save", "nosave", "now", "force"), "default"),
    ),
    *_because(
        APPEND_ONLY,
        _row("appendonly", _YES_NO, "yes"),
        _row("appendfsync", Choice("everysec", "always", "no"), "always"),
        _row("appendfilename", _PATH, "appendonly.aof", fixed=True),
        _row("appenddirname", _PATH, "appendonlydir", fixed=True),
        _row("aof-disable-auto-gc", _YES_NO, "no"),
        _row("aof-load-truncated", _YES_NO, "yes"),
        _row("aof-rewrite-incremental-fsync", _YES_NO, "yes"),
        _row("aof-timestamp-enabled", _YES_NO, "no"),
        _row("aof-use-rdb-preamble", _YES_NO, "yes"),
        _row("auto-aof-rewrite-min-size", _MEMORY, "67108864"),
        _row("auto-aof-rewrite-percentage", _SMALL, "100"),
        _row("no-appendfsync-on-rewrite", _YES_NO, "no"),
    ),
    *_because(
        MEMORY,
        _row("maxmemory", _MEMORY, "0"),
        _row("maxmemory-clients", MemoryOrPercent(), "0"),
        _row("maxmemory-eviction-tenacity", Integer(0, 100), "10"),
        _row("maxmemory-policy", Choice(*_POLICIES), "noeviction"),
        _row("maxmemory-samples", Integer(1, 64), "5"),
        _row("lfu-decay-time", _SMALL, "1"),
        _row("lfu-log-factor", _SMALL, "10"),
    ),
    *_because(
        LAZY_FREE,
        _row("lazyfree-lazy-eviction", _YES_NO, "no"),
        _row("lazyfree-lazy-expire", _YES_NO, "no"),
        _row("lazyfree-lazy-server-del", _YES_NO, "no"),
        _row("lazyfree-lazy-user-del", _YES_NO, "no"),
        _row("lazyfree-lazy-user-flush", _YES_NO, "no"),
    ),
    *_because(
        EXPIRY,
        _row("active-expire-effort", Integer(1, 10), "1"),
        _row("hz", _SMALL, "10"),
        _row("dynamic-hz", _YES_NO, "yes"),
    ),
    *_because(
        ALLOCATOR,
        _row("activedefrag", _YES_NO, "no"),
        _row("active-defrag-cycle-max", Integer(1, 99), "25"),
        _row("active-defrag-cycle-min", Integer(1, 99), "1"),
        _row("active-defrag-ignore-bytes", Memory(1), "104857600"),
        _row("active-defrag-max-scan-fields", Integer(1, LONG_MAX), "1000"),
        _row("active-defrag-threshold-lower", Integer(0, 1000), "10"),
        _row("active-defrag-threshold-upper", Integer(0, 1000), "100"),
        _row("jemalloc-bg-thread", _YES_NO, "yes"),
    ),
    *_because(
        STRUCTURES,
        _row("activerehashing", _YES_NO, "yes"),
        _row("hash-max-listpack-entries", _COUNT, "512", "hash-max-ziplist-entries"),
        _row("hash-max-listpack-value", _MEMORY, "64", "hash-max-ziplist-value"),
        _row("list-compress-depth", _SMALL, "0"),
        _row("list-max-listpack-size", Integer(-(2**31), INT_MAX), "-2", "list-max-ziplist-size"),
        _row("set-max-intset-entries", _COUNT, "512"),
        _row("set-max-listpack-entries", _COUNT, "128"),
        _row("set-max-listpack-value", _COUNT, "64"),
        _row("zset-max-listpack-entries", _COUNT, "128", "zset-max-ziplist-entries"),
        _row("zset-max-listpack-value", _MEMORY, "64", "zset-max-ziplist-value"),
        _row("stream-node-max-bytes", _MEMORY, "4096"),
        _row("stream-node-max-entries", _COUNT, "100"),
    ),
    *_because(
        REPLICATION,
        _row("replicaof", Words("HOST PORT"), "", "slaveof", fixed=True, refused=True),
        _row("min-replicas-to-write", _SMALL, "0", "min-slaves-to-write", refused=True),
        _row("min-replicas-max-lag", _SMALL, "10", "min-slaves-max-lag"),
        _row("masterauth", _TEXT, ""),
        _row("masteruser", _TEXT, ""),
        _row("bind-source-addr", _TEXT, ""),
        _row("propagation-error-behavior", Choice("ignore", "panic", "panic-on-replicas"), "ignore"),
        _row("repl-backlog-size", Memory(1), "1048576"),
        _row("repl-backlog-ttl", _COUNT, "3600"),
        _row("repl-disable-tcp-nodelay", _YES_NO, "no"),
        _row("repl-diskless-load", Choice("disabled", "on-empty-db", "swapdb"), "disabled"),
        _row("repl-diskless-sync", _YES_NO, "yes"),
        _row("repl-diskless-sync-delay", _SMALL, "5"),
        _row("repl-diskless-sync-max-replicas", _SMALL, "0"),
        _row("repl-ping-replica-period", Integer(1, INT_MAX), "10", "repl-ping-slave-period"),
        _row("repl-timeout", Integer(1, INT_MAX), "60"),
        _row("replica-announce-ip", _TEXT, "", "slave-announce-ip"),
        _row("replica-announce-port", _PORT, "0", "slave-announce-port"),
        _row("replica-announced", _YES_NO, "yes"),
        _row("replica-ignore-disk-write-errors", _YES_NO, "no"),
        _row("replica-ignore-maxmemory", _YES_NO, "yes", "slave-ignore-maxmemory"),
        _row("replica-lazy-flush", _YES_NO, "no", "slave-lazy-flush"),
        _row("replica-priority", _SMALL, "100", "slave-priority"),
        _row("replica-read-only", _YES_NO, "yes", "slave-read-only"),
        _row("replica-serve-stale-data", _YES_NO, "yes", "slave-serve-stale-data"),
    ),
    *_because(
        CLUSTER,
        _row("cluster-enabled", _YES_NO, "no", fixed=True, refused=True),
        _row("cluster-allow-pubsubshard-when-down", _YES_NO, "yes"),
        _row("cluster-allow-reads-when-down", _YES_NO, "no"),
        _row("cluster-allow-replica-migration", _YES_NO, "yes"),
        _row("cluster-announce-bus-port", _PORT, "0"),
        _row("cluster-announce-hostname", _HOST_NAME, ""),
        _row("cluster-announce-human-nodename", _NODE_NAME, ""),
        _row("cluster-announce-ip", _TEXT, ""),
        _row("cluster-announce-port", _PORT, "0"),
        _row("cluster-announce-tls-port", _PORT, "0"),
        _row("cluster-config-file", _PATH, "nodes.conf", fixed=True),
        _row("cluster-link-sendbuf-limit", _MEMORY, "0"),
        _row("cluster-migration-barrier", _SMALL, "1"),
        _row("cluster-node-timeout", _COUNT, "15000"),
        _row("cluster-port", _PORT, "0", fixed=True),
        _row("cluster-preferred-endpoint-type", Choice("ip", "hostname", "unknown-endpoint"), "ip"),
        _row("cluster-replica-no-failover", _YES_NO, "no", "cluster-slave-no-failover"),
        _row("cluster-replica-validity-factor", _SMALL, "10", "cluster-slave-validity-factor"),
        _row("cluster-require-full-coverage", _YES_NO, "yes"),
    ),
    *_because(
        TLS,
        _row("tls-port", _PORT, "0", refused=True),
        _row("tls-auth-clients", Choice("no", "yes", "optional"), "yes"),
        _row("tls-ca-cert-dir", _PATH, ""),
        _row("tls-ca-cert-file", _PATH, ""),
        _row("tls-cert-file", _PATH, ""),
        _row("tls-ciphers", _TEXT, ""),
        _row("tls-ciphersuites", _TEXT, ""),
        _row("tls-client-cert-file", _PATH, ""),
        _row("tls-client-key-file", _PATH, ""),
        _row("tls-client-key-file-pass", _TEXT, ""),
        _row("tls-cluster", _YES_NO, "no"),
        _row("tls-dh-params-file", _PATH, ""),
        _row("tls-key-file", _PATH, ""),
        _row("tls-key-file-pass", _TEXT, ""),
        _row("tls-prefer-server-ciphers", _YES_NO, "no"),
        _row("tls-protocols", _TEXT, ""),
        _row("tls-replication", _YES_NO, "no"),
        _row("tls-session-cache-size", _SMALL, "20480"),
        _row("tls-session-cache-timeout", _SMALL, "300"),
        _row("tls-session-caching", _YES_NO, "yes"),
        _row("max-new-tls-connections-per-cycle", Integer(1, 1000), "1"),
    ),
    *_because(
        ACL,
        _row("aclfile", _PATH, "", fixed=True, refused=True),
        _row("acl-pubsub-default", Choice("allchannels", "resetchannels"), "resetchannels"),
        _row("acllog-max-len", _COUNT, "128"),
    ),
    *_because(MODULES, _row("enable-module-command", _LOCAL_SWITCH, "no", fixed=True, refused=True)),
    *_because(
        THREADS,
        _row("io-threads", Integer(1, 128), "1", fixed=True),
        _row("io-threads-do-reads", _YES_NO, "no", fixed=True),
        _row("aof-rewrite-cpulist", _TEXT, "", "aof_rewrite_cpulist", fixed=True),
        _row("bgsave-cpulist", _TEXT, "", "bgsave_cpulist", fixed=True),
        _row("bio-cpulist", _TEXT, "", "bio_cpulist", fixed=True),
        _row("server-cpulist", _TEXT, "", "server_cpulist", fixed=True),
    ),
    *_because(
        PROCESS,
        _row("daemonize", _YES_NO, "no", fixed=True, refused=True),
        _row("supervised", Choice("upstart", "systemd", "auto", "no"), "no", fixed=True, refused=True),
        _row("always-show-logo", _YES_NO, "no", fixed=True),
        _row("crash-log-enabled", _YES_NO, "yes"),
        _row("crash-memcheck-enabled", _YES_NO, "yes"),
        _row("disable-thp", _YES_NO, "yes", fixed=True),
        _row("enable-protected-configs", _LOCAL_SWITCH, "no", fixed=True),
        _row("hide-user-data-from-log", _YES_NO, "no"),
        _row("ignore-warnings", _TEXT, ""),
        _row("locale-collate", _LOCALE, ""),
        _row("max-new-connections-per-cycle", Integer(1, 1000), "10"),
        _row("oom-score-adj", Choice("no", "yes", "relative", "absolute"), "no"),
        _row("oom-score-adj-values", Numbers("oom-score-adj-values", 3, -2000, 2000), "0 200 800"),
        _row("pidfile", _PATH, "", fixed=True),
        _row("proc-title-template", _TEXT, "{title} {listen-addr} {server-mode}"),
        _row("set-proc-title", _YES_NO, "yes", fixed=True),
        _row("socket-mark-id", Integer(0, UINT_MAX), "0", fixed=True),
        _row("syslog-enabled", _YES_NO, "no", fixed=True),
        _row("syslog-facility", Choice(*_FACILITIES), "local0", fixed=True),
        _row("syslog-ident", _TEXT, "redis", fixed=True),
    ),
)

#: Statements of Redis's configuration file that are no settings, with the reason why they are refused.
REFUSED_STATEMENTS = {
    "loadmodule": MODULES,
    "rename-command": "commands can not be renamed",
    "user": ACL,
}

TABLE: tuple[Directive, ...] = (*HONOURED, *KNOWN)

#: Every directive by each of its names.
BY_NAME: dict[str, Directive] = {name: directive for directive in TABLE for name in directive.names}
