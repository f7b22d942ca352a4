"""The syntax of redis.conf: lines of words, quoting, comments, `include`; reading such files and rewriting them.

Knows nothing of what a directive means: it yields statements, each with the place it came from.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: How deep files may include files; deeper is taken for a circle.
INCLUDE_DEPTH = 16

_SPACE = b" \n\r\t\0"
_ESCAPES = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX = b"0123456789abcdefABCDEF"
_BARE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:*@%+,=~-")


class ConfigFileError(Exception):
    """A file that can not be read; the text is one line that names it."""


@dataclass(frozen=True)
class Statement:
    """One directive as somebody wrote it: `where` names the place for messages, `name` is in lower case."""

    where: str
    name: str
    words: tuple[str, ...]


def split_words(line: str) -> list[str]:
    r"""The words of a line. Quoting is Redis's: "..." with escapes such as \n and \x41, '...' with \' alone.

    Bytes that are not UTF-8 come out as surrogate escapes. ValueError if a quote is not closed, or if a closing quote
    is not followed by a space.
    """
    data = line.encode("utf-8", "surrogateescape")
    words: list[str] = []
    at = 0
    while True:
        while at < len(data) and data[at] in _SPACE:
            at += 1
        if at == len(data):
            return words
        word, at = _read_word(data, at)
        words.append(word.decode("utf-8", "surrogateescape"))


def _read_word(data: bytes, at: int) -> tuple[bytes, int]:
    """The word that begins at a place, and the place after it."""
    word = bytearray()
    while at < len(data) and data[at] not in _SPACE:
        if data[at] in b"\"'":
            part, at = _read_quoted(data, at)
            word += part
            if at < len(data) and data[at] not in _SPACE:
                raise ValueError("closing quote must be followed by a space")
        else:
            word.append(data[at])
            at += 1
    return bytes(word), at


def _read_quoted(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes between the quote at a place and the next one like it, and the place after that."""
    quote = data[at]
    part = bytearray()
    at += 1
    while at < len(data) and data[at] != quote:
        escaped = data[at : at + 4]
        if escaped[0] != ord("\\") or len(escaped) < 2:
            part.append(escaped[0])
            at += 1
        elif quote == ord("'"):
            part += b"'" if escaped[1] == quote else escaped[:1]
            at += 2 if escaped[1] == quote else 1
        elif escaped[1] == ord("x") and len(escaped) == 4 and escaped[2] in _HEX and escaped[3] in _HEX:
            part.append(int(escaped[2:], 16))
            at += 4
        else:
            part += _ESCAPES.get(escaped[1], escaped[1:2])
            at += 2
    if at == len(data):
        raise ValueError("unbalanced quotes")
    return bytes(part), at + 1


def join_words(words: list[str]) -> str:
    """A line whose words `split_words` gives back; quotes only where they are needed."""
    return " ".join(_quote(word.encode("utf-8", "surrogateescape")) for word in words)


def _quote(word: bytes) -> str:
    if word and set(word) <= _BARE:
        return word.decode("ascii")
    named = {code[0]: f"\\{chr(letter)}" for letter, code in _ESCAPES.items()} | {ord('"'): '\\"', ord("\\"): "\\\\"}
    return '"' + "".join(named.get(b, chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in word) + '"'


def read_statements(path: str, depth: int = 0) -> Iterator[Statement]:
    """The statements of a file in order, those of included files in the place of the `include`."""
    for number, line in enumerate(_read_lines(path), 1):
        where = f"{path}:{number}"
        if line.strip().startswith("#"):
            continue
        try:
            words = split_words(line)
        except ValueError as error:
            raise ConfigFileError(f"{where}: {error}") from None
        if words:
            yield from included(Statement(where, words[0].lower(), tuple(words[1:])), depth)


def included(statement: Statement, depth: int = 0) -> Iterator[Statement]:
    """The statement itself or, if it is an `include`, the statements of the files it names (patterns allowed)."""
    if statement.name != "include":
        yield statement
        return
    if not statement.words:
        raise ConfigFileError(f"{statement.where}: include: wrong number of arguments")
    if depth == INCLUDE_DEPTH:
        raise ConfigFileError(f"{statement.where}: files include each other more than {INCLUDE_DEPTH} deep")
    for pattern in statement.words:
        for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
            yield from read_statements(path, depth + 1)


def _read_lines(path: str) -> list[str]:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError as error:
        raise ConfigFileError(f"can't read configuration file {path}: {error.strerror}") from None


def rewrite(path: Path, changes: Mapping[str, list[list[str]]], names: Mapping[str, str]) -> None:
    """Replace in a file the lines of the directives that changed; append those it does not have yet.

    `changes` maps a directive to its new lines, `names` every name to its directive (aliases to the real one). Other
    lines, comments and the order stay. The new file is complete on disk before it takes the place of the old one;
    OSError if that fails.
    """
    path = path.resolve()
    try:
        old = path.read_bytes().decode("utf-8", "surrogateescape").splitlines()
        mode = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        old, mode = [], 0o600
    text = "".join(f"{line}\n" for line in _rewritten_lines(old, changes, names))
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _rewritten_lines(old: list[str], changes: Mapping[str, list[list[str]]], names: Mapping[str, str]) -> Iterator[str]:
    seen = set()
    for line in old:
        name = statement_name(line)
        directive = names.get(name, name)
        if directive not in changes:
            yield line
        elif directive not in seen:
            seen.add(directive)
            yield from (join_words([directive, *words]) for words in changes[directive])
    added = [directive for directive in changes if directive not in seen]
    if added and REWRITE_MARK not in old:
        yield from ("", REWRITE_MARK) if old else (REWRITE_MARK,)
    for directive in added:
        yield from (join_words([directive, *words]) for words in changes[directive])


#: What stands above the lines that CONFIG REWRITE appends.
REWRITE_MARK = "# Added by CONFIG REWRITE"


def statement_name(line: str) -> str:
    """The name of the directive that a line sets, in lower case; "" for a comment or a line that is not valid."""
    try:
        words = [] if line.strip().startswith("#") else split_words(line)
    except ValueError:
        return ""
    return words[0].lower() if words else ""
