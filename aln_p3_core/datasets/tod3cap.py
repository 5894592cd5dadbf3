"""TOD3Cap: a caption for every annotated object (arXiv 2403.19589).

`final_caption_bbox_token.json` is `{sample_annotation_token: {...}}` with the five parts nested under their own names
(`{"attribute_caption": {"attribute_caption": "Orange car"}, "depth_caption": {"depth": 16.4}, ...}`) and
`final_caption`, the sentence. One file holds every split.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.language_files import AS_PUBLISHED, read_json, rows_by_token, text_field
from aln_p3_core.errors import DataError


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
    """Captions by annotation token.

    Args:
        path: of the file.
        tokens: keep these annotations only; None keeps all (2.3 million in the published file).

    Raises:
        DataError: naming the file, and the annotation whose entry is broken.
    """
    shared: dict[str, str] = {}
    rows = rows_by_token(path, read_json(path, lambda value: _made_at_once(value, shared)), "annotation token")
    return {
        token: row if isinstance(row, ObjectCaption) else _caption(path, f"annotation {token}", row, shared)
        for token, row in rows.items()
        if tokens is None or token in tokens
    }


def _made_at_once(value: dict[str, Any], shared: dict[str, str]) -> ObjectCaption | dict[str, Any]:
    """Entries become captions while the file is read: as nested objects the published one takes six times the room."""
    if "final_caption" not in value:
        return value
    try:
        return _caption("", "", value, shared)
    except DataError:
        return value  # told again with its token, which is not known here


def _caption(path: str | Path, entry: str, row: object, shared: dict[str, str]) -> ObjectCaption:
    final = text_field(path, entry, row, "final_caption")
    assert isinstance(row, Mapping)  # text_field saw it

    def part(name: str) -> str:
        inner = row.get(f"{name}_caption")
        text = "" if inner is None else text_field(path, entry, inner, f"{name}_caption")
        return shared.setdefault(text, text)

    depth_m: float | None = None
    if row.get("depth_caption") is not None:
        try:
            depth_m = float(row["depth_caption"]["depth"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: {entry} has no number in depth_caption.depth ({error!r}); {AS_PUBLISHED}"
            ) from None
        if not math.isfinite(depth_m):
            raise DataError(f"{path}: {entry} has the depth {depth_m}; {AS_PUBLISHED}")
    return ObjectCaption(part("attribute"), depth_m, part("localization"), part("motion"), part("map"), final)
