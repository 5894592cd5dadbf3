"""One shard of a frame store: a folder of plain .npy files that are read memory-mapped.

    pixels.npy  uint8 [F, N, H, W, 3]
    frames.npy  [F] records of `frame_dtype`: geometry, ego motion, plan, and where the frame's rows lie in:
    agents.npy  [sum of A] records of `agent_dtype`
    lines.npy   [sum of G] records of `line_dtype`
    index.json  scenes with their fingerprints and tokens, skipped samples, size and checksum of every file

A shard is written beside its place and renamed when it is whole: what has a shard's name is complete.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig
from aln_p3_core.errors import DataError
from aln_p3_core.training.frame_targets import TargetArrays

INDEX = "index.json"
_CHUNK = 1 << 24


def frame_dtype(config: DriverConfig) -> np.dtype[np.void]:
    """Record of a frame; fields as in `StoredFrame`, `agents` and `lines` are (first row, count)."""
    cameras, steps = len(config.cameras), config.planner.steps
    return np.dtype(
        [
            ("stamp_ns", "<i8"),
            ("scene", "<i4"),
            ("command", "<i4"),
            ("T_global_model", "<f8", (4, 4)),
            ("can_bus", "<f8", (18,)),
            ("ego_status", "<f8", (8,)),
            ("model2img", "<f4", (cameras, 4, 4)),
            ("rows", "<i4", (cameras,)),
            ("camera_valid", "?", (cameras,)),
            ("plan_offsets", "<f4", (steps, 2)),
            ("plan_mask", "?", (steps,)),
            ("agents", "<i8", (2,)),
            ("lines", "<i8", (2,)),
        ],
        align=True,
    )


def agent_dtype(config: DriverConfig) -> np.dtype[np.void]:
    """Record of an agent; fields as in `TargetArrays`."""
    steps = config.planner.steps
    return np.dtype(
        [
            ("box", "<f4", (10,)),
            ("offsets", "<f4", (steps, 2)),
            ("class_id", "<i4"),
            ("velocity_valid", "?"),
            ("future_mask", "?", (steps,)),
        ],
        align=True,
    )


def line_dtype(config: DriverConfig) -> np.dtype[np.void]:
    """Record of a map line; fields as in `TargetArrays`."""
    points = ("points", "<f4", (config.map.points_per_line, 2))
    return np.dtype([points, ("class_id", "<i4"), ("closed", "?")], align=True)


class ArrayFile:
    """Writes an .npy file row by row, with its checksum; the number of rows need not be known before."""

    def __init__(self, path: Path, dtype: np.dtype[Any], row_shape: tuple[int, ...] = ()) -> None:
        self.path = path
        self._dtype, self._row_shape = dtype, row_shape
        self._rows = 0
        self._checksum = 0
        self._file: BinaryIO = path.open("wb")
        self._header = self._write_header()

    def append(self, rows: NDArray[Any]) -> None:
        """Adds [n, *row_shape] rows."""
        data = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        self._checksum = zlib.crc32(data, self._checksum)
        self._file.write(data)
        self._rows += len(rows)

    def close(self) -> dict[str, int]:
        """Completes the file. Returns its size and the checksum of its rows."""
        self._file.seek(0)
        # NumPy leaves room for any number of rows, so the header keeps its length.
        if self._write_header() != self._header:
            raise AssertionError("the header of an array file changed its length")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"size": self.path.stat().st_size, "header": self._header, "crc32": self._checksum}

    def _write_header(self) -> int:
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, *self._row_shape),
            },
        )
        return self._file.tell()


def checksum_of(path: Path, skip: int) -> int:
    """CRC-32 of a file from byte `skip` on."""
    checksum = 0
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Writes a shard's index with a checksum of its own."""
    content = {**index, "checksum": _index_checksum(index)}
    with (folder / INDEX).open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read_index(folder: Path) -> dict[str, Any]:
    """A shard's index. Raises DataError when it is missing or damaged."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        checksum = index.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error}); the shard has to be made again") from error
    if checksum != _index_checksum(index):
        raise DataError(f"{path} is damaged: its checksum differs; the shard has to be made again")
    return index


def check_files(folder: Path, files: dict[str, dict[str, int]], *, full: bool) -> None:
    """Compares the files of a shard with its index: sizes and array headers, and with `full` every byte.

    Raises:
        DataError: naming the first file that differs.
    """
    for name, known in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else -1
        if size != known["size"]:
            raise DataError(f"{path} has {size} bytes instead of {known['size']}; the shard has to be made again")
        with path.open("rb") as file:
            magic = file.read(6)
        if magic != b"\x93NUMPY" or (full and checksum_of(path, known["header"]) != known["crc32"]):
            raise DataError(f"{path} is damaged: its checksum differs; the shard has to be made again")


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, for `finish`; deleted at the end where it was not finished."""
    partial = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def finish(partial: Path, folder: Path) -> None:
    """Puts a whole shard in its place; where another process was faster, its shard stays."""
    try:
        partial.rename(folder)
    except OSError:
        if not (folder / INDEX).is_file():
            raise


def _index_checksum(index: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


@dataclass(frozen=True, eq=False)
class ShardFiles:
    """The arrays of a shard, memory-mapped when first touched."""

    folder: Path

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        return self._open("pixels.npy")

    @cached_property
    def frames(self) -> NDArray[np.void]:
        return self._open("frames.npy")

    @cached_property
    def agents(self) -> NDArray[np.void]:
        return self._open("agents.npy")

    @cached_property
    def lines(self) -> NDArray[np.void]:
        return self._open("lines.npy")

    def agents_of(self, row: int) -> NDArray[np.void]:
        """Records [A] of a frame's agents, a view."""
        return _slice(self.agents, self.frames[row]["agents"])

    def targets(self, row: int) -> TargetArrays:
        """Ground truth of one frame."""
        frame = self.frames[row]
        agents = self.agents_of(row)
        lines = _slice(self.lines, frame["lines"])
        return TargetArrays(
            agent_boxes=agents["box"],
            agent_velocity_valid=agents["velocity_valid"],
            agent_classes=agents["class_id"].astype(np.int64),
            agent_offsets=agents["offsets"],
            agent_future_mask=agents["future_mask"],
            lines=lines["points"],
            line_closed=lines["closed"],
            line_classes=lines["class_id"].astype(np.int64),
            plan_offsets=frame["plan_offsets"],
            plan_mask=frame["plan_mask"],
            command=int(frame["command"]),
        )

    def _open(self, name: str) -> NDArray[Any]:
        return open_array(self.folder / name)


def open_array(path: Path) -> NDArray[Any]:
    """A stored array, memory-mapped for reading. Raises DataError when the file is missing or cut short."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened ({error}); verify the store, or delete the shard's folder") from error
    # A plain array over the same memory: indexing a np.memmap costs several times as much.
    return array.view(np.ndarray)


def agent_records(arrays: TargetArrays, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """[A] records of the agents of a frame."""
    records = np.zeros(len(arrays.agent_classes), dtype)
    records["box"], records["offsets"] = arrays.agent_boxes, arrays.agent_offsets
    records["class_id"], records["velocity_valid"] = arrays.agent_classes, arrays.agent_velocity_valid
    records["future_mask"] = arrays.agent_future_mask
    return records


def line_records(arrays: TargetArrays, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """[G] records of the lines of a frame."""
    records = np.zeros(len(arrays.line_classes), dtype)
    records["points"], records["class_id"], records["closed"] = arrays.lines, arrays.line_classes, arrays.line_closed
    return records


@contextmanager
def disk_errors(location: Path) -> Iterator[None]:
    """Turns a full disk into a DataError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"no space left in {location}; free some, or name another folder for the store") from error


def shard_folders(location: Path) -> list[Path]:
    """Folders of all finished shards, in name order."""
    return sorted(path for path in location.glob("shard-*") if path.is_dir())


def _slice(records: NDArray[np.void], place: NDArray[np.int64]) -> NDArray[np.void]:
    first, count = int(place[0]), int(place[1])
    return records[first : first + count]
