"""Container images made out of nothing but a static busybox: no registry is ever asked."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from examples.tour.engines import Engine

BUSYBOX: Final = ("/bin/busybox", "/usr/bin/busybox")
# Only those that tests and demos call: a link each.
COMMANDS: Final = (
    *("sh", "cat", "cp", "date", "echo", "env", "false", "grep", "hostname", "httpd", "id", "kill"),
    *("ls", "mkdir", "nc", "printf", "ps", "rm", "sed", "sleep", "stat", "tee", "test"),
    *("touch", "true", "wget"),
)
USERS: Final = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"


class ImageError(Exception):
    """An image could not be made."""


def busybox() -> Path | None:
    """Find a busybox that needs no libraries. None: Debian's busybox-static is not installed."""
    for place in BUSYBOX:
        if Path(place).exists() and _is_static(Path(place)):
            return Path(place)
    return None


def import_image(
    engine: Engine,
    *tags: str,
    command: Iterable[str] = ("sleep", "infinity"),
    files: Mapping[str, str] | None = None,
    changes: Iterable[str] = (),
) -> str:
    """Make an image on an engine, give it every tag, and answer its id.

    command: what it runs. files: text by path inside the image. changes: further Dockerfile lines
    that `docker import` takes, such as `EXPOSE 8080` or `ENV GREETING=hello`.

    Raises:
        ImageError: no static busybox here, or the engine refused.
    """
    quoted = ", ".join(f'"{word}"' for word in command)
    wanted = [f"CMD [{quoted}]", "ENV PATH=/bin", *changes]
    first, *others = tags
    options = [part for change in wanted for part in ("--change", change)]
    identity = _docker(engine, "import", *options, "-", first, stdin=root_tar(files or {}))
    for tag in others:
        _docker(engine, "tag", first, tag)
    return identity.strip()


def root_tar(files: Mapping[str, str]) -> bytes:
    """The root file system as a tar: busybox, its commands, /tmp, /data, /www, and `files`.

    The same call gives the same bytes, so that layers are shared.
    """
    program = busybox()
    if program is None:
        raise ImageError("no static busybox. Fix: apt-get install busybox-static")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "data", "dev", "etc", "proc", "sys", "tmp", "www"):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777))
        _add_file(tar, "bin/busybox", program.read_bytes())
        for name in COMMANDS:
            link = _entry(f"bin/{name}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            tar.addfile(link)
        _add_file(tar, "etc/passwd", USERS)
        for path in sorted(files):
            _add_file(tar, path.lstrip("/"), files[path].encode())
    return out.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = kind, mode
    return entry


def _add_file(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = _entry(path, tarfile.REGTYPE, 0o755)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _is_static(program: Path) -> bool:
    """A program with libraries names its loader in the first kilobytes."""
    with program.open("rb") as file:
        return b"ld-linux" not in file.read(8192)


def _docker(engine: Engine, *arguments: str, stdin: bytes = b"") -> str:
    docker = shutil.which("docker", path=engine.environment()["PATH"])
    if docker is None:
        raise ImageError("docker is not installed")
    answer = subprocess.run(  # noqa: S603 - a fixed list, no shell
        [docker, *arguments],
        input=stdin,
        capture_output=True,
        env=engine.environment(),
        timeout=120,
        check=False,
    )
    if answer.returncode != 0:
        complaint = answer.stderr.decode(errors="replace").strip()
        raise ImageError(f"docker {' '.join(arguments[:1])}: {complaint}")
    return answer.stdout.decode()
