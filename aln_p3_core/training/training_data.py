"""The clips of a training: stores of one or several roots, what is learnt from and what is chosen by."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import splits_of
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.clip_data import Clip, ClipDraw
from aln_p3_core.training.clips import ClipDataset
from aln_p3_core.training.data_check import check_expansions
from aln_p3_core.training.feature_store import FeatureStore
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.hidden_causes import answers_to
from aln_p3_core.training.perceived import Reader
from aln_p3_core.training.perception_build import build_perception
from aln_p3_core.training.sampler import sampling_weights
from aln_p3_core.training.settings import DataSettings, TrainingConfig
from aln_p3_core.training.signal_classes import signal_classes
from aln_p3_core.training.used_roots import used_roots
from aln_p3_core.training.validation import validation_settings

if TYPE_CHECKING:
    from aln_p3_core.training.text_data import TextSource
    from aln_p3_core.training.text_library import TextLibrary


class JoinedClips(Dataset[Clip]):
    """Clips of several roots, one after the other."""

    def __init__(self, parts: Sequence[ClipDataset]) -> None:
        self.parts = list(parts)
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, draw: ClipDraw) -> Clip:
        part = bisect.bisect_right(self._ends, draw.index)
        start = self._ends[part] - len(self.parts[part])
        return self.parts[part][ClipDraw(draw.index - start, draw.seed)]


@dataclass(slots=True)
class TrainingData:
    """What a run reads.

    Attributes:
        clips: to learn from; `weights` of each for the sampler.
        validation: to choose by, or None where no root has the validation split.
        chosen: positions in `validation` that are used.
        datasets: the roots, on the main process only.
    """

    clips: JoinedClips
    weights: FloatArray
    validation: ClipDataset | None
    chosen: list[int]
    datasets: list[NuScenesDataset]


def open_data(
    roots: Sequence[Path],
    network: DriverNetwork,
    config: TrainingConfig,
    *,
    cache: Path | None,
    jobs: int,
    process: tuple[int, int] = (0, 1),
    wait: Callable[[], None] = lambda: None,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> TrainingData:
    """Opens the stores of all roots; what is missing is made first, features by all processes together.

    Args:
        roots: nuScenes-schema roots.
        network: whose frozen part makes the features.
        config: of the training.
        cache: folder of the stores; the user's cache when None.
        jobs: processes that prepare frames.
        process: (rank, number of processes).
        wait: waits for the other processes, for as long as it takes the first one to prepare all frames.
        device: where features are computed.

    Raises:
        ConfigError: when no root has a scene of the splits. DataError: for a sample that cannot be read, or a root
            without maps for a training that learns lines.
    """
    data = config.data
    rank, processes = process
    frames = None if cache is None else cache / "frames"
    parts, weights, validation, datasets, known = [], [], None, [], set[str]()
    for root in used_roots(roots, data):
        dataset, learnt, checked = root.dataset, root.learnt_scenes, root.checked_scenes
        known |= set(splits_of(dataset))
        # The others are done with the tables, gigabytes of them, when everything is open.
        datasets += [dataset] if rank == 0 else []
        if not learnt and not checked:
            continue
        needed = [*learnt, *checked]
        _tell(check_expansions(dataset, learnt, checked, config), rank)
        if rank == 0:
            store = FrameStore.build(dataset, network.config, frames, scenes=needed, jobs=jobs, progress=progress)
        wait()
        if rank != 0:
            store = FrameStore.build(dataset, network.config, frames, scenes=needed, progress=False)
        features = perceived = None
        # Together first; then whatever one that died left over.
        shares = ((rank, processes), (0, 1)) if processes > 1 else ((0, 1),)
        kept = None if cache is None else cache / "perception"
        if data.store == "features":
            folder = None if cache is None else cache / "features"
            for share in shares:
                features = FeatureStore.build(store, network, folder, device=device, share=share, progress=progress)
                wait()
        if (reader := perception_reader(config)) is not None:
            for share in shares:
                perceived = build_perception(
                    store, network, kept, device=device, share=share, progress=progress, reader=reader
                )
                wait()
        texts = _library(dataset, store, config)
        told: dict[str, Any] = {
            "signals": signal_classes(dataset, store.tokens),
            "hidden_plans": answers_to(dataset, store.tokens, data.hidden_causes),
        }
        if learnt:
            indices = store.indices_of(learnt)
            clips = ClipDataset(
                store,
                indices,
                network.config,
                data,
                config.augmentation,
                features,
                perceived,
                texts=_source(texts, config),
                **told,
            )
            parts.append(clips)
            weights.append(sampling_weights(store, indices, data) * len(indices))
        if checked:
            validation = ClipDataset(
                store,
                store.indices_of(checked),
                network.config,
                validation_settings(data),
                None,
                features,
                perceived,
                texts=_source(texts, config),
                **told,
            )
    if not parts:
        raise _nowhere(data, known)
    joined = np.concatenate(weights)
    return TrainingData(
        JoinedClips(parts), joined / joined.sum(), validation, chosen_places(validation, data), datasets
    )


def prepare_frames(
    roots: Sequence[Path],
    driver: DriverConfig,
    config: TrainingConfig,
    *,
    cache: Path | None,
    jobs: int,
    progress: bool = True,
) -> int:
    """Makes the frame stores that a training will open, without a network or a GPU; arguments as of `open_data`.

    Returns:
        Frames in them.

    Raises:
        As `open_data`.
    """
    frames, known = 0, set[str]()
    for root in used_roots(roots, config.data):
        dataset, learnt, checked = root.dataset, root.learnt_scenes, root.checked_scenes
        known |= set(splits_of(dataset))
        if needed := [*learnt, *checked]:
            _tell(check_expansions(dataset, learnt, checked, config), 0)
            folder = None if cache is None else cache / "frames"
            frames += len(FrameStore.build(dataset, driver, folder, scenes=needed, jobs=jobs, progress=progress))
    if not frames:
        raise _nowhere(config.data, known)
    return frames


def _tell(lines: Sequence[str], rank: int) -> None:
    from tqdm import tqdm

    for line in lines if rank == 0 else ():
        tqdm.write(line)


def _nowhere(data: DataSettings, known: Collection[str]) -> ConfigError:
    there = ", ".join(sorted(known)) or "none; the split all is every scene of a root"
    return ConfigError(f"no root has a scene of the splits {', '.join(data.splits)}; there are {there}")


def perception_reader(config: TrainingConfig) -> Reader | None:
    """Who learns from kept perception; None in trainings that read pictures or features."""
    if config.data.store == "bev":
        return "decoders"
    if config.data.store == "perception":
        return "planner" if config.explainer is None else "explainer"
    return None


def _library(dataset: NuScenesDataset, store: FrameStore, config: TrainingConfig) -> TextLibrary | None:
    """All texts of a store's frames, in trainings with an explainer."""
    if config.texts is None:
        return None
    from aln_p3_core.training.text_library import load_texts

    splits = tuple(dict.fromkeys((*config.data.splits, config.data.validation_split)))
    return load_texts(dataset, store, splits, config.texts, config.data.only_validated)


def _source(library: TextLibrary | None, config: TrainingConfig) -> TextSource | None:
    """Draws the texts of clips."""
    if library is None or config.texts is None:
        return None
    from aln_p3_core.training.text_data import TextSource

    return TextSource(library, config.texts)


def chosen_places(validation: ClipDataset | None, data: DataSettings) -> list[int]:
    """Evenly spread positions of the validation clips that are used."""
    if validation is None:
        return []
    count = data.validation_samples or len(validation)
    return np.unique(np.linspace(0, len(validation) - 1, min(count, len(validation))).astype(int)).tolist()
