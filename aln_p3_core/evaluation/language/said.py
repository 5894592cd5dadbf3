"""What an explainer said about key frames, as files: scoring again needs no model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aln_p3_core.evaluation.language.intervention_suite import SceneInterventions
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.whole_files import written_whole

FORMAT = "aln_p3.said 1"

#: Tasks that are asked for once more where the command is withheld.
AGAIN = (Task.EXPLANATION, Task.QUESTION, Task.COMMAND)
#: Whose plan the explainer read: that of the route's command (where none is given, of the one that the true path
#: fulfils), or of none (straight on).
CommandUse = Literal["given", "none"]


@dataclass(frozen=True, slots=True)
class Saying:
    """One text.

    Attributes:
        task: value of `Task`.
        command: see `CommandUse`.
        prompt, answer: what was asked and said. truncated: the answer was cut off at its limit.
        truth: what would have been right; None where the data set does not tell.
        about: of a question {"num_hop", "template_type"}; of an object its detected box in the model frame
            {"row" of the driver's agents, "class", "score", "center", "size_lwh", "heading"}; else empty.
    """

    task: str
    command: CommandUse
    prompt: str
    answer: str
    truncated: bool
    truth: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaidFrame:
    """All texts of one key frame. `route_command`: "left", "right" or "straight", as given or fulfilled."""

    token: str
    scene: str
    route_command: str
    said: tuple[Saying, ...]

    def of(self, task: Task, command: CommandUse = "given") -> list[Saying]:
        """Texts of a task, in the order in which they were asked for.

        What was not asked for again without the command is what was said with it: where the route's command is
        straight the explainer reads the same plan.
        """
        own = [saying for saying in self.said if saying.task == task.value and saying.command == command]
        same = command == "none" and task in AGAIN and self.route_command == "straight"
        return self.of(task) if same and not own else own


def save_said(
    path: Path, key: str, frames: Sequence[SaidFrame], interventions: SceneInterventions | None = None
) -> None:
    """Writes a scene's texts, all of the file or nothing."""
    content: dict[str, Any] = {"format": FORMAT, "key": key, "frames": [asdict(frame) for frame in frames]}
    if interventions is not None:
        content["interventions"] = interventions.to_json()
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_said(path: Path, key: str | None = None) -> list[SaidFrame] | None:
    """A scene's texts; None where the file is missing, broken, or was written with another key (None: any)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or (key is not None and content["key"] != key):
            return None
        return [
            SaidFrame(**{**frame, "said": tuple(Saying(**saying) for saying in frame["said"])})
            for frame in content["frames"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_interventions(path: Path) -> SceneInterventions | None:
    """What is kept of interventions in a scene's file; None where there is nothing."""
    try:
        return SceneInterventions.from_json(json.loads(path.read_text(encoding="utf-8"))["interventions"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def spread(items: Sequence[str], count: int) -> list[str]:
    """`count` of the items, evenly spread and in order; all of them for 0 or more than there are."""
    if not 0 < count < len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def of_task(frames: Iterable[SaidFrame], task: Task, command: CommandUse = "given") -> list[tuple[SaidFrame, Saying]]:
    """Every text of a task with its frame."""
    return [(frame, saying) for frame in frames for saying in frame.of(task, command)]
