"""What the published ways to count detections, map lines and forecasts are worth: the table of docs/evaluation.md.

python scripts/measure_perception_slips.py ROOT --split val

The truth of a data set, moved by noise and with things added that are not there, is measured under every protocol. It
tells the protocols apart; it is no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from aln_p3_core.datasets.map_elements import MapTargets
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import scenes_of_split
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.evaluation.detection import DetectionTruth, evaluate_detection
from aln_p3_core.evaluation.map import evaluate_map
from aln_p3_core.evaluation.motion import evaluate_motion
from aln_p3_core.evaluation.perception_protocol import (
    DETECTION_PROTOCOLS,
    MAP_PROTOCOLS,
    MOTION_PROTOCOLS,
    read_detection_protocol,
    read_map_protocol,
    read_motion_protocol,
)
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES, Agents, MapElements

BOX_NOISE_M, LINE_NOISE_M, FORECAST_NOISE_M = 0.5, 0.4, 1.0
FALSE_BOXES, FALSE_LINES = 60, 30
# Scores of what is there, and of what is not: they overlap.
TRUE_SCORES, FALSE_SCORES = (0.3, 1.0), (0.0, 0.6)
MODES = 6
# Boxes are added this far away, lines with their middle within the range of the map (model frame: x, y).
BOXES_M, LINES_M = (50.0, 50.0), (15.0, 30.0)
# The protocols' own names for the group of cars and the like.
VEHICLES = {"vip3d": "car", "p3": "vehicle"}


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, help="Scenes to measure on.")
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
def main(root: Path, split: str, seed: int) -> None:
    """Measures noisy truth of ROOT under all protocols of perception, and prints Markdown tables."""
    dataset = NuScenesDataset(root)
    tokens = [token for scene in scenes_of_split(dataset, split) for token in dataset.scene_tokens(scene)]
    rng = np.random.default_rng(seed)
    targets, lines, agents, found_lines = [], [], [], []
    for token in tqdm(tokens, unit="frame", desc="truth"):
        truth = dataset.targets(token)
        targets.append(truth)
        lines.append(dataset.map_truth(token))
        agents.append(noisy_agents(truth, rng))
        found_lines.append(None if truth.map_elements is None else noisy_lines(truth.map_elements, rng))
    _table("detection", _detections(dataset, tokens, agents))
    _table("map", {
        title: {"mAP": evaluate_map(found_lines, lines, read_map_protocol(title)).mean_ap} for title in MAP_PROTOCOLS
    })  # fmt: skip
    _table("motion", _motion(agents, targets))


def noisy_agents(truth: Targets, rng: np.random.Generator) -> Agents:
    """Objects of a frame with a centre, futures and a score that noise moved, and boxes where nothing is."""
    seen = truth.select(truth.valid)
    true, count = len(seen), len(seen) + FALSE_BOXES
    centers = np.zeros((count, 3))
    centers[:true] = seen.centers_model
    centers[:true, :2] += rng.normal(0, BOX_NOISE_M, (true, 2))
    centers[true:, :2] = rng.uniform(-1, 1, (FALSE_BOXES, 2)) * BOXES_M
    sizes, headings, velocities = np.ones((count, 3)), np.zeros(count), np.zeros((count, 2))
    sizes[:true], headings[:true] = seen.sizes_lwh, seen.headings_model
    velocities[:true] = np.where(seen.velocity_valid[:, None], seen.velocities_model, 0.0)
    futures = np.repeat(centers[:, None, :2], seen.futures_model.shape[1], axis=1)
    futures[:true] = np.where(seen.future_mask[..., None], seen.futures_model, futures[:true])
    forecasts = futures[:, None] + rng.normal(0, FORECAST_NOISE_M, (count, MODES, *futures.shape[1:]))
    classes = np.concatenate([seen.class_ids, rng.integers(len(AGENT_CLASSES), size=FALSE_BOXES)])
    scores = _scores(true, FALSE_BOXES, rng)
    order = np.argsort(-scores, kind="stable")
    return Agents(
        centers_model=centers[order].astype(np.float32),
        sizes_lwh=sizes[order].astype(np.float32),
        headings_model=headings[order].astype(np.float32),
        velocities_model=velocities[order].astype(np.float32),
        scores=scores[order],
        class_ids=classes[order],
        forecasts_model=forecasts[order].astype(np.float32),
        forecast_probabilities=np.full((count, MODES), 1 / MODES, dtype=np.float32),
        query_ids=np.arange(count),
    )


def noisy_lines(truth: MapTargets, rng: np.random.Generator) -> MapElements:
    """Lines of a frame, each moved as a whole, and straight ones of 5 to 20 m where nothing is."""
    points = truth.points_model + rng.normal(0, LINE_NOISE_M, (len(truth), 1, 2))
    angle, length = rng.uniform(0, np.pi, FALSE_LINES), rng.uniform(5, 20, FALSE_LINES)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * length[:, None]
    middle = rng.uniform(-1, 1, (FALSE_LINES, 2)) * LINES_M
    steps = np.linspace(-0.5, 0.5, truth.points_model.shape[1])
    added = middle[:, None] + steps[None, :, None] * along[:, None]
    classes = np.concatenate([truth.class_ids, rng.integers(len(MAP_CLASSES), size=FALSE_LINES)])
    scores = _scores(len(truth), FALSE_LINES, rng)
    order = np.argsort(-scores, kind="stable")
    all_points = np.concatenate([points, added])[order].astype(np.float32)
    return MapElements(all_points, scores[order], classes[order], np.arange(len(order)))


def _scores(true: int, false: int, rng: np.random.Generator) -> np.ndarray:
    both = np.concatenate([rng.uniform(*TRUE_SCORES, true), rng.uniform(*FALSE_SCORES, false)])
    return both.astype(np.float32)


def _detections(dataset: NuScenesDataset, tokens: list[str], agents: list[Agents]) -> dict[str, dict[str, float]]:
    truth = DetectionTruth(dataset, tokens)
    by_token = dict(zip(tokens, agents, strict=True))
    found = {}
    for title in DETECTION_PROTOCOLS:
        result = evaluate_detection(by_token, truth, read_detection_protocol(title))
        found[title] = {"mAP": result.mean_ap, "car AP": result.class_ap["car"]}
    return found


def _motion(agents: list[Agents], targets: list[Targets]) -> dict[str, dict[str, float]]:
    found = {}
    for title in MOTION_PROTOCOLS:
        groups = evaluate_motion(agents, targets, read_motion_protocol(title)).groups
        found[title] = {
            f"{name}: {what}": value
            for name, group in (("vehicles", groups[VEHICLES[title]]), ("pedestrians", groups["pedestrian"]))
            for what, value in (("minADE m", group.min_ade), ("EPA", group.epa))
        }
    return found


def _table(kind: str, found: Mapping[str, Mapping[str, float]]) -> None:
    names = list(next(iter(found.values())))
    click.echo(f"\n| {kind} | " + " | ".join(names) + " |")
    click.echo("|---|" + "---|" * len(names))
    for title, values in found.items():
        click.echo(f"| `{title}` | " + " | ".join(f"{values[name]:.3f}" for name in names) + " |")


if __name__ == "__main__":
    main()
