"""What was said on a recorded drive, as subtitles of its film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aln_p3_core.drawing.subtitles import Subtitle
from aln_p3_ros.bags.reader import open_bag, read_messages
from aln_p3_ros.bags.typestore import typestore

_TYPE = "aln_p3/msg/Explanation"


def read_subtitles(bag: Path, start_ns: int) -> list[Subtitle]:
    """The explanations in a bag, each at the moment of the plan that it is about: words and plan stand together.

    On the road the words come later, when they have been spoken: `Explanation.age` tells how much.

    Args:
        bag: a folder or an .mcap or .db3 file.
        start_ns: stamp of the film's beginning.

    Returns:
        Subtitles in the order of time; answers to questions are left out.
    """
    store: Any = typestore()
    subtitles = []
    with open_bag(bag) as (reader, _):
        for connection, _, raw in read_messages(reader, bag):
            if connection.msgtype != _TYPE:
                continue
            message = store.deserialize_cdr(raw, _TYPE)
            if message.kind != message.KIND_EXPLANATION:
                continue
            stamp_ns = int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)
            # Words in another form than narration and reasoning are shown as they are.
            narration = message.narration or ("" if message.reasoning else message.text)
            subtitles.append(
                Subtitle(
                    time_s=(stamp_ns - start_ns) * 1e-9,
                    narration=narration,
                    reasoning=message.reasoning,
                    contradictions=tuple(message.contradictions),
                )
            )
    return sorted(subtitles, key=lambda subtitle: subtitle.time_s)
