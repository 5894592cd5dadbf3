"""Small trainings with an explainer: a tiny random language model and text encoder, a root with texts.

`words_helpers.py ROOT RUN MODELS`, in as many processes as torchrun's variables say, trains as `small_joint` does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from run_helpers import SMALL, write_split_scenes

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.recipes import training_recipe
from aln_p3_core.training.settings import TrainingConfig
from aln_p3_core.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "explainer"))
from explainer_helpers import write_tiny_language_model

_WORDS = "the ego car truck stops goes on slows down because of a red light and pedestrian meters away is parked"


def write_models(folder: Path) -> Path:
    """`folder/llama` and `folder/bert`: random weights, real tokenizers."""
    from transformers import BertConfig, BertModel, BertTokenizer

    write_tiny_language_model(folder / "llama")
    torch.manual_seed(0)
    bert = folder / "bert"
    bert.mkdir()
    letters = [chr(code) for code in range(33, 127)]
    (bert / "vocab.txt").write_text(
        "\n".join(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), *_WORDS.split()]
        )
    )
    tokenizer = BertTokenizer(str(bert / "vocab.txt"))
    shape = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, initializer_range=0.5,
    )  # fmt: skip
    BertModel(shape).save_pretrained(bert)
    tokenizer.save_pretrained(bert)
    return folder


def write_spoken_scenes(make_root: Callable[..., Path], **fields: Any) -> Path:
    """A root with the splits "train" and "val", and texts for all its frames and objects but the last frame's."""
    root = write_split_scenes(make_root, **fields)
    tables = {
        name: json.loads((root / "v1.0-mini" / f"{name}.json").read_text()) for name in ("sample", "sample_annotation")
    }
    language = root / "language"
    language.mkdir()
    tokens = [row["token"] for row in tables["sample"]][:-1]
    explanations = {
        token: {"narration": f"the car goes on for {number} meters", "reasoning": f"the light {number} is green"}
        for number, token in enumerate(tokens)
    }
    questions = [
        {
            "split": "train", "sample_token": token, "question": f"How many cars are there, {kind}?",
            "answer": str(number % 5), "num_hop": 0, "template_type": "count",
        }
        for number, token in enumerate(tokens)
        for kind in "ab"
    ]  # fmt: skip
    captions = {
        row["token"]: {
            "attribute_caption": {"attribute_caption": "Red car"},
            "depth_caption": {"depth": float(number)},
            "localization_caption": {"localization_caption": "ahead"},
            "motion_caption": {"motion_caption": f"driving at {number} meters a second"},
            "map_caption": {"map_caption": "on the road"},
            "final_caption": f"Red car about {number} meters away ahead is driving at {number} meters a second",
        }
        for number, row in enumerate(tables["sample_annotation"])
    }
    for split in ("train", "val"):
        (language / f"Nu_X_{split}.json").write_text(json.dumps(explanations))
        (language / f"NuScenes_{split}_questions.json").write_text(json.dumps({"questions": questions}))
    (language / "final_caption_bbox_token.json").write_text(json.dumps(captions))
    return root


def joint_settings(models: Path) -> dict[str, Any]:
    """Settings of a training that takes a second, for the recipe `nano_joint`."""
    return {
        **{name: value for name, value in SMALL.items() if not name.startswith("stages.")},
        # Every process draws its own dropout.
        "driver.planner.dropout": 0.0,
        "stages.0.steps": 2,
        "stages.1.steps": 2,
        "explainer.language_model.source": str(models / "llama"),
        "explainer.language_model.precision": "fp32",
        "explainer.mixer.width": 32,
        "explainer.mixer.instance_width": 16,
        "explainer.mixer.heads": 4,
        "explainer.mixer.bev_channels": 8,
        "explainer.mixer.bev_blocks": 1,
        "explainer.mixer.instance_blocks": 1,
        "explainer.adapter.rank": 2,
        # Of an untrained driver nothing is sure, and nothing lies where it belongs.
        "explainer.agent_score": 0.0,
        "texts.match_distance_m": 0.0,
        "texts.per_frame": 3,
        "texts.sample_tokens": 4,
        "alignment.text_encoder": str(models / "bert"),
        "alignment.p1a.hidden": 8,
        "alignment.p2a.hidden": 8,
        "alignment.p3a.hidden": 8,
        # To a random encoder all texts mean about the same.
        "alignment.p2a.contrast.duplicates": "negative",
        "alignment.p3a.contrast.duplicates": "negative",
        "alignment.pool.prompts": 4,
        "alignment.pool.width": 8,
    }


def small_joint(models: Path, **overrides: Any) -> tuple[DriverConfig, TrainingConfig]:
    """The joint training at a fraction of its size; dots in names as two underscores."""
    return training_recipe(
        "nano_joint", joint_settings(models) | {k.replace("__", "."): v for k, v in overrides.items()}
    )


def joint_trainer(models: Path, folder: Path, **options: Any) -> Trainer:
    """A joint training, begun with a driver of random weights, always the same, where `init` names none; settings as of
    `small_joint`."""
    given = {name: options.pop(name) for name in ("resume", "init", "init_explainer") if name in options}
    driver, config = small_joint(models, **options)
    untrained = models / "driver.safetensors"
    if "init" not in given and not untrained.exists():
        torch.manual_seed(0)
        save_checkpoint(untrained, DriverNetwork(driver), driver)
    return Trainer(driver, config, folder, **{"init": untrained, **given})


if __name__ == "__main__":
    root, run, models = map(Path, sys.argv[1:])
    joint_trainer(models, run).run([root], cache=root.parent / "cache", progress=False)
