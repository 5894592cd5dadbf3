"""A tiny explainer with random weights, a speaker without a model, and a driver's topics to feed `explainer_node`."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aln_p3.msg import PredictedObjects, SceneTokens, VectorMap
from driver_helpers import WAIT_S, straight_scene
from rclpy.serialization import serialize_message

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.consistency import Consistency
from aln_p3_core.explainer.speaking import ObjectWords, Spoken
from aln_p3_core.scene import Agents, DrivingScene, MapElements
from aln_p3_core.scene import SceneTokens as Tokens
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.explaining.scene_inputs import HeardScene, RawScene
from aln_p3_ros.messages import conversions

#: Of the driver that the tiny explainer reads, and of `rich_scene`.
WIDTH, MODES, STEPS, CELLS = 16, 6, 6, 10
DRIVER_HASH = "0123abcd"


def save_tiny_explainer(folder: Path, driver_hash: str = DRIVER_HASH, **driver_shape: Any) -> Path:
    """A file with an untrained explainer on a random language model of two layers, 32 wide, with a real tokenizer.

    Its weights are drawn by a fixed seed: what it says is nonsense, and always the same nonsense.

    Args:
        driver_shape: where it differs from that of `rich_scene`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from aln_p3_core.explainer.checkpoint import save_explainer
    from aln_p3_core.explainer.explainer import Explainer
    from aln_p3_core.explainer.language_files import language_folder
    from aln_p3_core.explainer.settings import ExplainerConfig, LanguageModelSettings, TokenMixerSettings

    try:
        real = language_folder("smollm2-135m")
    except ConfigError as error:
        pytest.skip(f"no tokenizer: {error}")
    language = folder / "language"
    language.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(real / name, language / name)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=49152, num_key_value_heads=2, bos_token_id=1, eos_token_id=2, **sizes)
    shape = {"driver_width": WIDTH, "modes": MODES, "steps": STEPS, "bev_shape": (CELLS, CELLS), **driver_shape}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(language)
        explainer = Explainer(
            ExplainerConfig(
                name="tiny",
                mixer=TokenMixerSettings(width=16, instance_width=16, heads=2, bev_channels=8, bev_blocks=1),
                language_model=LanguageModelSettings(source=str(language), precision="fp32"),
            ),
            **shape,
        )
    path = folder / "tiny_explainer.safetensors"
    save_explainer(path, explainer, driver_hash=driver_hash)
    return path


def rich_scene(seed: int = 0, *, agents: int = 5, cells: int = CELLS) -> DrivingScene:
    """A scene with tokens of every kind, as a driver's network gives it: as many doubtful agents as detected ones."""
    draw = np.random.default_rng(seed)
    queries = 2 * agents

    def normal(*shape: int) -> Any:
        return draw.normal(size=shape).astype(np.float32)

    scores = np.concatenate([np.sort(draw.uniform(0.3, 1.0, agents))[::-1], np.full(agents, 0.05)])
    return dataclasses.replace(
        straight_scene(track_frames(1, size=(160, 90))[0], steps=STEPS),
        agents=Agents(
            centers_model=10 * normal(queries, 3),
            sizes_lwh=np.abs(normal(queries, 3)) + 0.5,
            headings_model=normal(queries),
            velocities_model=normal(queries, 2),
            scores=scores.astype(np.float32),
            class_ids=draw.integers(0, 10, queries),
            forecasts_model=10 * normal(queries, MODES, STEPS, 2),
            forecast_probabilities=draw.dirichlet(np.ones(MODES), queries).astype(np.float32),
            query_ids=draw.permutation(queries),
        ),
        map_elements=MapElements(
            points_model=10 * normal(4, 5, 2),
            scores=np.array([0.9, 0.8, 0.5, 0.1], np.float32),
            class_ids=np.array([0, 1, 2, 0]),
            query_ids=np.array([3, 1, 0, 2]),
        ),
        tokens=Tokens(
            bev=normal(cells, cells, WIDTH),
            agents=normal(queries, WIDTH),
            motion=normal(queries, MODES, 2 * WIDTH),
            map=normal(4, WIDTH),
            ego=normal(2 * WIDTH),
        ),
    )


def scene_messages(
    scene: DrivingScene,
    plan_id: str = "a-1",
    *,
    stamp_ns: int | None = None,
    checkpoint_hash: str = DRIVER_HASH,
    speed: float | None = 8.0,
) -> tuple[SceneTokens, PredictedObjects, VectorMap]:
    """What the driver publishes of a scene for the explainer, with its default thresholds."""
    if stamp_ns is not None:
        scene = dataclasses.replace(scene, newest_image_stamp_ns=stamp_ns)
    return (
        conversions.scene_tokens(
            scene,
            plan_id=plan_id,
            checkpoint_hash=checkpoint_hash,
            min_object_score=0.2,
            min_line_score=0.2,
            speed=speed,
        ),
        conversions.predicted_objects(scene, plan_id=plan_id, min_score=0.2),
        conversions.vector_map(scene, plan_id=plan_id, min_score=0.2),
    )


def raw_scene(stamp_ns: int, plan_id: str = "a-1", **kwargs: Any) -> RawScene:
    """A scene as it arrives."""
    messages = scene_messages(rich_scene(), plan_id, stamp_ns=stamp_ns, **kwargs)
    return RawScene(stamp_ns, *(serialize_message(message) for message in messages))


class PlainSpeaker:
    """Says the same about every scene, word by word, without a model.

    Attributes:
        scenes: plan ids that it has begun to explain.
        gate: while cleared, it does not get beyond its first word (but looks whether it is to stop).
        deaf: it does not look whether it is to stop.
        error: raised instead of speaking.
        contradictions: of everything that it says.
    """

    def __init__(self, settings: Any = None) -> None:
        self.model_id = "plain 0000"
        self.description = "a speaker without a model"
        self.driver_hash = DRIVER_HASH
        self.scenes: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.deaf = False
        self.error: Exception | None = None
        self.contradictions: tuple[str, ...] = ()

    def explain(
        self, scene: HeardScene, *, captions: int, max_new_tokens: int, check: bool, stop: Callable[[], bool]
    ) -> Spoken | None:
        self.scenes.append(scene.tokens.plan_id)
        if self.error is not None:
            raise self.error
        if self._waits(stop):
            return None
        described = scene.scene.agents.query_ids[:captions]
        return Spoken(
            text="Narration: the car goes straight. Reasoning: the road is free.",
            narration="the car goes straight",
            reasoning="the road is free",
            captions=tuple(ObjectWords(int(query), f"object {query}") for query in described),
            consistency=Consistency((), not self.contradictions, self.contradictions) if check else None,
            seconds=0.25,
        )

    def answer(self, scene: HeardScene, question: str, *, max_new_tokens: int, stop: Callable[[], bool]) -> Spoken:
        if self.error is not None:
            raise self.error
        cut = self._waits(stop)
        return Spoken(text="two" if cut else f"two, as to {question}", truncated=cut, seconds=0.1)

    def _waits(self, stop: Callable[[], bool]) -> bool:
        for _ in range(round(WAIT_S / 0.002)):
            if self.gate.wait(0.002):
                return False
            if not self.deaf and stop():
                return True
        raise AssertionError("nobody lets the speaker go on")
