"""The explainer that the parameters ask for, and the limits of its process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from aln_p3_core.explainer.speaking import SceneSpeaker, Spoken
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.scene_inputs import HeardScene


class HeardSpeaker:
    """A `SceneSpeaker` for what is heard on topics."""

    def __init__(self, speaker: SceneSpeaker) -> None:
        self._speaker = speaker
        self.model_id = speaker.model_id
        self.description = speaker.description
        self.driver_hash = speaker.driver_hash

    def explain(
        self, scene: HeardScene, *, captions: int, max_new_tokens: int, check: bool, stop: Callable[[], bool]
    ) -> Spoken | None:
        """As `SceneSpeaker.explain`."""
        return self._speaker.explain(
            scene.scene,
            captions=captions,
            max_new_tokens=max_new_tokens,
            speed_now_ms=scene.speed,
            check=check,
            stop=stop,
        )

    def answer(self, scene: HeardScene, question: str, *, max_new_tokens: int, stop: Callable[[], bool]) -> Spoken:
        """As `SceneSpeaker.answer`."""
        return self._speaker.answer(scene.scene, question, max_new_tokens=max_new_tokens, stop=stop)


def load_speaker(settings: ExplainerSettings) -> HeardSpeaker:
    """Loads the explainer that ships, or the one of a file.

    Raises:
        CheckpointError: when the file is missing or damaged, or none ships under the name.
        ConfigError: for an unknown device, and when the language model is not installed.
    """
    return HeardSpeaker(SceneSpeaker.load(settings.explainer, device=settings.device))


def limit_process(threads: int, nice: int) -> None:
    """Sets the priority of this process, with all threads that it has already, and the threads of its arithmetic.

    Only for a process of one's own: a lowered priority cannot be raised again.

    Args:
        threads: of PyTorch; 0: as many as cores.
        nice: 0..19, as `os.setpriority` takes it.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    # Linux keeps a priority for each thread; those that begin later inherit it.
    tasks = Path("/proc/self/task")
    numbers = [int(entry.name) for entry in tasks.iterdir()] if tasks.is_dir() else [0]
    for number in numbers:
        # A thread may have ended meanwhile, and nobody may raise a priority.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, number, nice)
