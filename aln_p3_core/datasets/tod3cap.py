"""TOD3Cap: a caption for every annotated object (arXiv 2403.19589).

`final_caption_bbox_token.json` is `{sample_annotation_token: {...}}` with the five parts nested under their own names
(`{"attribute_caption": {"attribute_caption": "Orange car"}, "depth_caption": {"depth": 16.4}, ...}`). One file holds
every split: 1,165,741 of the 1,166,187 annotations of train and val, 1.5 GB.

The released file has no sentence (jxbbb/TOD3Cap, issue 19). Its readers join the parts (Hint-AD's loader of captions,
TOD3Cap's evaluation), and so does this one. The world's files have the sentence too, as `final_caption`; it is taken
where it is there.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.language_files import AS_PUBLISHED, read_json, rows_by_token, text_field
from aln_p3_core.errors import DataError

_LOG = logging.getLogger(__name__)
_SENTENCE = "final_caption"
_DEPTH = "depth_caption"
_WORDS = ("attribute_caption", "localization_caption", "motion_caption", "map_caption")
# What the file says in the place of words that it does not have; a quarter of the map parts are empty.
_NOTHING = ("", "none")


@dataclass(frozen=True, slots=True)
class ObjectCaption:
    """Caption of one object in one key frame; a part that the file does not have is "" (depth: None).

    Attributes:
        attribute: what it is, "Orange car". depth_m: distance from the ego, m.
        localization: where, "to the back left of the ego car". motion: what it does. map: where on the road.
        final: the whole sentence.
    """

    attribute: str
    depth_m: float | None
    localization: str
    motion: str
    map: str
    final: str


def load_tod3cap(path: str | Path, tokens: Container[str] | None = None) -> dict[str, ObjectCaption]:
    """Captions by annotation token. Entries that cannot be read are left out, and how many is logged once.

    Args:
        path: of the file.
        tokens: keep these annotations only; None keeps all.

    Raises:
        DataError: naming the file when it cannot be read, and its first entry when that goes for all of them.
    """
    shared: dict[str, str] = {}
    rows = rows_by_token(path, read_json(path, lambda value: _made_at_once(value, shared)), "annotation token")
    unread = [token for token, row in rows.items() if not isinstance(row, ObjectCaption)]
    if unread and len(unread) == len(rows):
        raise DataError(_reason(path, unread[0], rows[unread[0]]))
    missed = [token for token in unread if tokens is None or token in tokens]
    if missed:
        first = _reason(path, missed[0], rows[missed[0]])
        _LOG.warning("%d captions cannot be read and are left out; the first: %s", len(missed), first)
    return {
        token: row
        for token, row in rows.items()
        if isinstance(row, ObjectCaption) and (tokens is None or token in tokens)
    }


def _made_at_once(value: dict[str, Any], shared: dict[str, str]) -> ObjectCaption | dict[str, Any]:
    """Entries become captions while the file is read: as nested objects the released one takes seven times the room."""
    # A part holds its words under its own name: only an entry has objects there.
    if _SENTENCE not in value and not any(isinstance(value.get(name), dict) for name in (*_WORDS, _DEPTH)):
        return value
    try:
        return _caption("", "", value, shared)
    except DataError:
        return value  # told again with its token, which is not known here


def _reason(path: str | Path, token: str, row: object) -> str:
    """Why an entry cannot be read."""
    try:
        _caption(path, f"annotation {token}", row, {})
    except DataError as error:
        return str(error)
    raise AssertionError(f"the entry of {token} can be read")


def _caption(path: str | Path, entry: str, row: object, shared: dict[str, str]) -> ObjectCaption:
    if not isinstance(row, Mapping):
        raise DataError(f"{path}: {entry} is no object with the parts of a caption; {AS_PUBLISHED}")

    def words(name: str) -> str:
        part = row.get(name)
        text = "" if part is None else text_field(path, entry, part, name).strip()
        return "" if text.lower() in _NOTHING else shared.setdefault(text, text)

    attribute, localization, motion, place = map(words, _WORDS)
    depth_m = _depth(path, entry, row)
    final = "" if row.get(_SENTENCE) is None else text_field(path, entry, row, _SENTENCE)
    if not final:
        depth = "" if depth_m is None else f"about {round(depth_m)} meters away"
        final = " ".join(filter(None, (attribute, depth, localization, motion and f"is {motion}", place)))
    if not (attribute or localization or motion or place or row.get(_SENTENCE)):
        raise DataError(f"{path}: {entry} has no words; {AS_PUBLISHED}")
    return ObjectCaption(attribute, depth_m, localization, motion, place, final)


def _depth(path: str | Path, entry: str, row: Mapping[str, Any]) -> float | None:
    if row.get(_DEPTH) is None:
        return None
    try:
        depth_m = float(row[_DEPTH]["depth"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {entry} has no number in depth_caption.depth ({error!r}); {AS_PUBLISHED}") from None
    if not math.isfinite(depth_m):
        raise DataError(f"{path}: {entry} has the depth {depth_m}; {AS_PUBLISHED}")
    return depth_m
