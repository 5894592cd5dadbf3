"""Plans that answer to what nobody sees do not reach the loss of the plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.training.clips import ClipDataset
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.hidden_causes import answers_to
from aln_p3_core.training.settings import DataSettings

PLAN = {"source": "expert", "times_s": [1.0, 2.0, 3.0], "points_ego": [[3, 0], [5, 0], [6, 0]], "headings_ego": [0] * 3}


def test_only_plans_of_hidden_causes_are_masked(make_root: Callable[..., Path], tmp_path: Path) -> None:
    root = write_scenes(make_root, 1, samples=5)
    tokens = NuScenesDataset(root).tokens
    causes = ["route_end", "red_light", None]
    rows = {
        token: PLAN | {"decision": None if cause is None else {"cause": cause}}
        for token, cause in zip(tokens, causes, strict=False)
    }
    (root / "expert_plan.json").write_text(json.dumps(rows))
    dataset, config = NuScenesDataset(root), small_recipe()
    store = FrameStore.build(dataset, config, tmp_path / "store", progress=False)

    hidden = answers_to(dataset, store.tokens, ("route_end",))
    assert hidden.tolist() == [True, False, False, False, False]
    assert not answers_to(dataset, store.tokens, ()).any()

    clips = ClipDataset(store, range(5), config, DataSettings(clip_frames=1, clip_spares=0), hidden_plans=hidden)
    told = [bool(clips[place].targets.plan_mask_T.any()) for place in range(3)]
    assert told == [False, True, True]
