"""What the oddities of the published planning protocols are worth on a data set: the table of docs/evaluation.md.

python scripts/measure_slips.py ROOT --split val --folder out/slips
"""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import scenes_of_split
from aln_p3_core.evaluation.baselines import baseline_plans, trained_mlp
from aln_p3_core.evaluation.planning import evaluate_planning
from aln_p3_core.evaluation.planning_slips import slip_protocols, slip_table
from aln_p3_core.evaluation.planning_truth_build import planning_truth


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, help="Scenes to measure on.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Where truth and weights are kept.")
def main(root: Path, split: str, folder: Path) -> None:
    """Measures every oddity on ROOT with the rows that stand in every table, and prints a Markdown table."""
    dataset = NuScenesDataset(root)
    tokens = [token for scene in scenes_of_split(dataset, split) for token in dataset.scene_tokens(scene)]
    truth = planning_truth(dataset, tokens, cache=folder, progress=True)
    plans = baseline_plans(dataset, truth, trained_mlp(dataset, folder))
    table = slip_table(evaluate_planning(truth, plans, slip_protocols()))
    click.echo("| " + " | ".join(table.columns) + " |")
    click.echo("|" + "---|" * len(table.columns))
    for row in table.rows:
        click.echo("| " + " | ".join(cell or "" for cell in row) + " |")


if __name__ == "__main__":
    main()
