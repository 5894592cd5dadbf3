"""Progress lines of the set-up, and the running of commands whose output goes to a log.

Runs under whatever Python starts the set-up (3.8 or newer), so it uses the standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LINE_WIDTH = 110
#: Seconds between lines where the output is not a terminal.
QUIET_INTERVAL_S = 20.0
#: Lines of the log that say nothing to a user who waits.
NOISE = ("WARNING:", "DEPRECATION:", "[notice]", "Requirement already satisfied", "Looking in ", "  ")


class SetupError(Exception):
    """A step failed.

    Attributes:
        advice: what the user can do about it.
        tail: the last lines of the log, may be empty.
    """

    def __init__(self, message: str, advice: str, tail: str = "") -> None:
        super().__init__(message)
        self.advice = advice
        self.tail = tail


class Progress:
    """Prints one line a step with the elapsed time, and keeps the log of all commands at `log`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._start = time.monotonic()
        self._step_start = self._start
        self._title = ""
        self._terminal = sys.stdout.isatty()

    def begin(self, title: str) -> None:
        """Announces a step."""
        self._title = title
        self._step_start = time.monotonic()
        if self._terminal:
            self._overwrite(f"[{self.elapsed():5.0f} s] {title} ...")
        else:
            print(f"[{self.elapsed():5.0f} s] {title} ...", flush=True)

    def end(self, note: str = "") -> None:
        """Closes the step begun last."""
        took = time.monotonic() - self._step_start
        line = f"[{self.elapsed():5.0f} s] {self._title}: done in {took:.0f} s{f' ({note})' if note else ''}"
        if self._terminal:
            self._overwrite(line)
            print(flush=True)
        else:
            print(line, flush=True)

    def say(self, text: str) -> None:
        """Prints a line of its own within a step."""
        if self._terminal:
            self._overwrite("")
            sys.stdout.write("\r")
        print(f"          {text}", flush=True)

    def elapsed(self) -> float:
        """Seconds since the set-up began."""
        return time.monotonic() - self._start

    def run(self, command: Sequence[str], advice: str, environment: Mapping[str, str], directory: Path) -> None:
        """Runs `command` with its output in the log.

        Raises:
            SetupError: it could not be started or ended with another status than 0.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            offset = log.tell()
            try:
                process = subprocess.Popen(
                    list(command),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=dict(environment),
                    cwd=str(directory),
                )
            except OSError as error:
                raise SetupError(f"cannot start {command[0]}: {error}", advice) from error
            try:
                self._wait(process, offset)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if process.returncode:
            raise SetupError(f"{Path(command[0]).name} ended with status {process.returncode}", advice, self._tail())

    def _wait(self, process: subprocess.Popen, offset: int) -> None:
        """Shows the last line of the log now and then until the process ends."""
        next_line = time.monotonic() + QUIET_INTERVAL_S
        while True:
            try:
                process.wait(timeout=0.5)
                return
            except subprocess.TimeoutExpired:
                pass
            if self._terminal:
                self._overwrite(f"[{self.elapsed():5.0f} s] {self._title} ... {self._last_line(offset)}")
            elif time.monotonic() > next_line:
                next_line += QUIET_INTERVAL_S
                print(f"[{self.elapsed():5.0f} s]   still at it: {self._last_line(offset)}"[:LINE_WIDTH], flush=True)

    def _last_line(self, offset: int) -> str:
        for line in reversed(self._read(offset).splitlines()):
            if line.strip() and not line.startswith(NOISE):
                return line.strip()
        return ""

    def _tail(self) -> str:
        lines = [line for line in self._read(0).splitlines() if not line.startswith(NOISE[:3])]
        return "\n".join(lines[-25:])

    def _read(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(offset, log.tell() - 20_000))
            return log.read().decode("utf-8", "replace")

    @staticmethod
    def _overwrite(text: str) -> None:
        sys.stdout.write("\r" + text[:LINE_WIDTH].ljust(LINE_WIDTH))
        sys.stdout.flush()
