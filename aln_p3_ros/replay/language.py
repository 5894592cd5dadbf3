"""Language annotations of key frames as JSON text, from the published annotation files.

The kind of a file is told by its structure (Nu-X, TOD3Cap, NuScenes-QA, DriveLM), so that a renamed file works.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aln_p3_core.errors import DataError

#: Stands for the descriptions in the data set's own scene table.
SCENE_DESCRIPTION = "scene"


class LanguageAnnotations:
    """Annotations by key frame.

    Args:
        sources: files, or the word "scene" for the scene's description.

    Raises:
        DataError: for a file that is missing, no JSON, or of no known kind.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._with_scene = False
        self._by_sample: dict[str, dict[str, Any]] = defaultdict(dict)
        self._by_object: dict[str, dict[str, Any]] = {}
        for source in sources:
            if source == SCENE_DESCRIPTION:
                self._with_scene = True
            else:
                self._read(Path(source))

    def text(self, sample_token: str, annotation_tokens: Iterable[str], scene_description: str) -> str | None:
        """JSON text for a key frame, or None where nobody said anything about it.

        Keys that may occur: scene, nu_x, nuscenes_qa, drivelm, and tod3cap (by annotation token).
        """
        content: dict[str, Any] = dict(self._by_sample.get(sample_token, {}))
        if self._with_scene:
            content["scene"] = scene_description
        captions = {token: self._by_object[token] for token in annotation_tokens if token in self._by_object}
        if captions:
            content["tod3cap"] = captions
        if not content:
            return None
        return json.dumps({"sample_token": sample_token, **content}, sort_keys=True, ensure_ascii=False)

    def _read(self, path: Path) -> None:
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"the language annotations {path} cannot be read: {error.strerror}") from error
        except json.JSONDecodeError as error:
            raise DataError(f"the language annotations {path} are no JSON: {error}") from error
        first = next(iter(tree.values()), None) if isinstance(tree, Mapping) else None
        if isinstance(tree, Mapping) and isinstance(tree.get("questions"), list):
            for question in tree["questions"]:
                self._by_sample[question["sample_token"]].setdefault("nuscenes_qa", []).append(question)
        elif isinstance(first, Mapping) and "key_frames" in first:
            for scene in tree.values():
                for sample_token, frame in scene["key_frames"].items():
                    self._by_sample[sample_token]["drivelm"] = frame.get("QA", {})
        elif isinstance(first, Mapping) and "narration" in first:
            for sample_token, words in tree.items():
                self._by_sample[sample_token]["nu_x"] = words
        elif isinstance(first, Mapping) and ("attribute_caption" in first or "final_caption" in first):
            self._by_object.update(tree)
        else:
            raise DataError(
                f"{path} is none of the language annotations known here (Nu-X, TOD3Cap, NuScenes-QA, DriveLM)"
            )
