"""Inference with one tree of the packages, which may lack `aln_p3_core/alignment`, in a process of its own.

`inference_worker.py run TREE EXPLAINER OUT.npz` drives with the shipped driver, explains and answers, and stores all
outputs; `inference_worker.py imports TREE` imports all modules but those of trainings and prints their names.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

ALIGNMENT, TRAINING = "aln_p3_core.alignment", "aln_p3_core.training"
PACKAGES = ("aln_p3_core", "aln_p3_ros")
#: Of the clock, not of the inputs.
CLOCKED = ("timings_ms", "seconds")


def take_packages_from(tree: Path) -> None:
    """An editable install's finder would fill in what the tree lacks."""
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
    sys.path.insert(0, str(tree))
    for name in PACKAGES:
        assert list(importlib.import_module(name).__path__) == [str(tree / name)]
    there = (tree / "aln_p3_core" / "alignment").is_dir()
    assert (importlib.util.find_spec(ALIGNMENT) is not None) == there, "another tree shines through"


def put(outputs: dict[str, np.ndarray], name: str, value: Any) -> None:
    """Adds all fields of a value by their path."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in CLOCKED:
                put(outputs, f"{name}.{field.name}", getattr(value, field.name))
    elif hasattr(value, "numpy"):
        outputs[name] = value.detach().numpy()
    else:
        outputs[name] = value if isinstance(value, np.ndarray) else np.array(repr(value))


def run(explainer: Path, out: Path) -> None:
    import torch

    from aln_p3_core.driver import Driver
    from aln_p3_core.explainer.speaking import SceneSpeaker
    from aln_p3_core.synthetic.frames import track_frames

    torch.set_num_threads(1)
    outputs: dict[str, np.ndarray] = {}
    driver = Driver.from_checkpoint("nano", device="cpu", precision="fp32")
    for index, frame in enumerate(track_frames(3, rate_hz=2.0, size=(400, 225))):
        inference = driver.infer(frame)
        scene = driver.guard(driver.scene(inference, with_tokens=True), frame)
        put(outputs, f"frame {index} network", inference.outputs)
        put(outputs, f"frame {index} scene", scene)
    speaker = SceneSpeaker.load(explainer, driver_hash=driver.checkpoint_hash, device="cpu")

    def keep(module: object, given: object, said: Any) -> None:
        put(outputs, f"logits {len(outputs)}", said.logits)

    speaker.explainer.language.model.register_forward_hook(keep)
    put(outputs, "explanation", speaker.explain(scene, captions=2, max_new_tokens=6))
    put(outputs, "answer", speaker.answer(scene, "How many cars are there?", max_new_tokens=6))
    assert not [name for name in sys.modules if name.startswith((ALIGNMENT, TRAINING))]
    np.savez(out, **outputs)


def imports() -> None:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if module.name.startswith((ALIGNMENT, TRAINING)) or module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
                print(module.name)
            except ModuleNotFoundError as error:
                # What extras bring may be absent; what this project brings may not.
                if str(error.name).startswith(PACKAGES):
                    raise


if __name__ == "__main__":
    mode, tree, *files = sys.argv[1:]
    take_packages_from(Path(tree))
    if mode == "run":
        run(*map(Path, files))
    else:
        imports()
