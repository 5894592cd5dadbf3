"""Where a root keeps its texts: `find_language`, and reading a JSON file with errors that help."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.errors import DataError

#: Folder of a root that holds the texts.
LANGUAGE_FOLDER = "language"
NU_X_FILE = "Nu_X_{split}.json"
QUESTIONS_FILE = "NuScenes_{split}_questions.json"
TOD3CAP_FILE = "final_caption_bbox_token.json"
#: DriveLM's published names first; the second has questions without answers.
DRIVELM_FILES = ("v1_1_{split}_nus.json", "v1_1_{split}_nus_q_only.json", "drivelm_{split}.json")

#: Texts are published for whole splits; the parts of nuScenes mini belong to these.
_WHOLE_SPLIT = {"mini_train": "train", "mini_val": "val"}
AS_PUBLISHED = "copy the published file again, or record the world again"


@dataclass(frozen=True, slots=True)
class LanguageFiles:
    """Files of texts for one split; None where there is no such file.

    Attributes:
        nu_x: driving explanations (`nu_x.load_nu_x`).
        tod3cap: captions of annotated objects, of every split (`tod3cap.load_tod3cap`).
        questions: questions and answers (`nuscenes_qa.load_questions`).
        drivelm: questions and answers about key objects (`drivelm.load_drivelm`).
    """

    nu_x: Path | None
    tod3cap: Path | None
    questions: Path | None
    drivelm: Path | None

    @property
    def any(self) -> bool:
        """Whether there is any text at all."""
        return any((self.nu_x, self.tod3cap, self.questions, self.drivelm))


def find_language(root: str | Path, split: str) -> LanguageFiles:
    """Files of texts in `<root>/language`, or in the folder itself where the root has no such folder.

    The parts of nuScenes mini ("mini_train", "mini_val") have no files of their own in the published sets: their
    samples are in "train" and "val".
    """
    folder = Path(root) / LANGUAGE_FOLDER
    if not folder.is_dir():
        folder = Path(root)

    def find(*names: str) -> Path | None:
        for part in (split, _WHOLE_SPLIT.get(split, split)):
            for name in names:
                path = folder / name.format(split=part)
                if path.is_file():
                    return path
        return None

    return LanguageFiles(find(NU_X_FILE), find(TOD3CAP_FILE), find(QUESTIONS_FILE), find(*DRIVELM_FILES))


def read_json(path: str | Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        DataError: naming the file when it is missing or cut short.
    """
    path = Path(path)
    try:
        return json.loads(path.read_bytes(), object_hook=object_hook)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); {AS_PUBLISHED}") from error
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); {AS_PUBLISHED}") from error


def text_field(path: str | Path, entry: str, row: object, field: str) -> str:
    """A text of a row. Raises DataError naming file, entry and field when it is missing or no text."""
    if not isinstance(row, Mapping) or not isinstance(row.get(field), str):
        found = f"has {row.get(field)!r}" if isinstance(row, Mapping) and field in row else "has nothing"
        raise DataError(f"{path}: {entry} {found} where the text {field!r} belongs; {AS_PUBLISHED}")
    return str(row[field])


def rows_by_token(path: str | Path, content: object, token: str) -> Mapping[str, Any]:
    """The object that a file must hold. Raises DataError naming the file when it holds something else."""
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold an object by {token}, not a {type(content).__name__}; {AS_PUBLISHED}")
    return content
