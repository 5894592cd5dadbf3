"""`aln-p3 world stats`: what a recorded data set holds, in figures and plots."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_folder


@click.command("stats")
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    default=Path("out/stats"),
    show_default=True,
    help="Folder of the page and the plots.",
)
def command(root: Path, out: Path) -> None:
    """Describes a data set that `aln-p3 world record` made, split by split.

    Boxes by category, commands, speeds and curvatures, what the driver does and why, weather, and the balance of
    the questions' answers with the accuracy that guessing reaches. Writes index.html (one file, plots inside),
    the plots as PNG, and statistics.json.

    \b
    Example
      aln-p3 world stats out/world --out out/world_stats
    """
    from aln_p3_core.world.recorder.statistics import root_statistics
    from aln_p3_core.world.recorder.statistics_page import write_statistics

    statistics = root_statistics(root)
    for split, figures in statistics["splits"].items():
        click.echo(f"{split}: {figures['scenes']} scenes, {figures['key_frames']} key frames, {figures['boxes']} boxes")
        questions = figures["questions"]
        if questions.get("count"):
            told = [_told(questions[f"{name}_accuracy"]) for name in ("prior", "question_prior")]
            click.echo(
                f"  {questions['count']} questions; guessing the most frequent answer of their type is right in "
                f"{told[0]}, of their text in {told[1]}"
            )
    click.echo(write_statistics(statistics, out))


def _told(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.1f} %"
