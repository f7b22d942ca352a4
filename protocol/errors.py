"""The two ways a client can be told "no", and the texts of Redis that several commands share.

`ProtocolError` ends a connection; `CommandError` is a reply like any other. The texts equal those of Redis 7.4
byte for byte, because clients match on them. Each function makes a *fresh* exception: an exception object
carries its traceback, so a shared instance would leak frames from one request into the next.

A text that only one family uses is made by that family: `CommandError(b"ERR resulting score is not a number (NaN)")`.
"""

_SHOWN = 128
"""How many bytes of a client's words Redis repeats in an error."""


class ProtocolError(Exception):
    """The peer does not speak RESP: send `-ERR <message>`, then close.

    `message` is without the `ERR` code: `b"Protocol error: invalid bulk length"`.
    """

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class CommandError(Exception):
    """An error reply. `message` is the whole line without `-` and CRLF: `b"ERR syntax error"`."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> bytes:
        """The first word (`b"ERR"`, `b"WRONGTYPE"`), by which errors are counted."""
        return self.message.partition(b" ")[0]


# What was asked for.


def unknown_command(name: bytes, args: list[bytes]) -> CommandError:
    """`name` as the client wrote it; `args` are the words after it."""
    shown = b""
    for arg in args:
        if len(shown) >= _SHOWN:
            break
        shown += b"'%b' " % _shown(arg, _SHOWN - len(shown))
    return CommandError(b"ERR unknown command '%b', with args beginning with: %b" % (_shown(name), shown))


def unknown_subcommand(sub: bytes, command: bytes) -> CommandError:
    """`sub` as the client wrote it, `command` in any case: `unknown_subcommand(b"foo", b"config")`."""
    return CommandError(b"ERR unknown subcommand '%b'. Try %b HELP." % (_shown(sub), command.upper()))


def wrong_arity(name: bytes) -> CommandError:
    """`name` as the command table has it, in any case: `b"get"`, `b"config|get"`."""
    return CommandError(b"ERR wrong number of arguments for '%b' command" % name.lower())


def syntax_error() -> CommandError:
    return CommandError(b"ERR syntax error")


# Arguments.


def not_an_integer() -> CommandError:
    return CommandError(b"ERR value is not an integer or out of range")


def not_a_float() -> CommandError:
    return CommandError(b"ERR value is not a valid float")


def must_be_positive() -> CommandError:
    return CommandError(b"ERR value is out of range, must be positive")


def value_out_of_range() -> CommandError:
    return CommandError(b"ERR value is out of range")


def out_of_range() -> CommandError:
    """An index beyond the ends of a list (LSET)."""
    return CommandError(b"ERR index out of range")


def offset_out_of_range() -> CommandError:
    return CommandError(b"ERR offset is out of range")


def database_out_of_range() -> CommandError:
    return CommandError(b"ERR DB index is out of range")


def invalid_expire(command: bytes) -> CommandError:
    return CommandError(b"ERR invalid expire time in '%b' command" % command.lower())


def invalid_cursor() -> CommandError:
    return CommandError(b"ERR invalid cursor")


def timeout_not_an_integer() -> CommandError:
    return CommandError(b"ERR timeout is not an integer or out of range")


def timeout_negative() -> CommandError:
    return CommandError(b"ERR timeout is negative")


def too_few_keys() -> CommandError:
    """The `numkeys` of LMPOP, ZMPOP, SINTERCARD ... is not a positive integer."""
    return CommandError(b"ERR numkeys should be greater than 0")


def count_not_positive() -> CommandError:
    return CommandError(b"ERR count should be greater than 0")


def same_object() -> CommandError:
    return CommandError(b"ERR source and destination objects are the same")


# Values.


def wrong_type() -> CommandError:
    return CommandError(b"WRONGTYPE Operation against a key holding the wrong kind of value")


def no_such_key() -> CommandError:
    return CommandError(b"ERR no such key")


def busy_key() -> CommandError:
    return CommandError(b"BUSYKEY Target key name already exists.")


def overflow() -> CommandError:
    return CommandError(b"ERR increment or decrement would overflow")


def nan_or_infinity() -> CommandError:
    return CommandError(b"ERR increment would produce NaN or Infinity")


def string_too_long() -> CommandError:
    return CommandError(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)")


# Who asks.


def no_auth() -> CommandError:
    return CommandError(b"NOAUTH Authentication required.")


def wrong_password() -> CommandError:
    return CommandError(b"WRONGPASS invalid username-password pair or user is disabled.")


def unsupported_protocol() -> CommandError:
    return CommandError(b"NOPROTO unsupported protocol version")


# Transactions and scripts.


def exec_aborted() -> CommandError:
    return CommandError(b"EXECABORT Transaction discarded because of previous errors.")


def no_script() -> CommandError:
    return CommandError(b"NOSCRIPT No matching script. Please use EVAL.")


def _shown(word: bytes, limit: int = _SHOWN) -> bytes:
    """What Redis repeats of a client's word: it ends at a NUL, as a C string does."""
    return word.partition(b"\0")[0][:limit]
