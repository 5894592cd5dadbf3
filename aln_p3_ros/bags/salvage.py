"""Reads what is left of an MCAP file whose recording was cut off."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcap.reader import NonSeekingReader
from mcap.writer import CompressionType, Writer

from aln_p3_core.errors import DataError


@contextmanager
def salvage(path: Path) -> Iterator[Path]:
    """A whole MCAP file, in a temporary folder, with all messages that a cut-off one still holds.

    Raises:
        DataError: when it holds none.
    """
    with tempfile.TemporaryDirectory(prefix="aln_p3_salvage_") as folder:
        target = Path(folder) / "salvaged.mcap"
        count = _copy(path, target)
        if not count:
            raise DataError(f"{path} is cut off before its first message; nothing can be read from it")
        yield target


def _copy(source: Path, target: Path) -> int:
    count = 0
    schemas: dict[int, int] = {}
    channels: dict[int, int] = {}
    with source.open("rb") as stream, target.open("wb") as output:
        writer = Writer(output, compression=CompressionType.NONE)
        writer.start(profile="ros2")
        try:
            for schema, channel, message in NonSeekingReader(stream).iter_messages(log_time_order=False):
                if channel.id not in channels:
                    if schema is not None and schema.id not in schemas:
                        schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
                    schema_id = schemas[schema.id] if schema is not None else 0
                    channels[channel.id] = writer.register_channel(
                        channel.topic, channel.message_encoding, schema_id, channel.metadata
                    )
                writer.add_message(
                    channels[channel.id], message.log_time, message.data, message.publish_time, message.sequence
                )
                count += 1
        except OSError:
            raise  # no room for the copy
        except Exception:  # whatever a cut, or damage, makes of the parser
            pass  # everything before it has been copied
        writer.finish()
    return count
