"""`aln-p3 evaluate`: measures drivers and planners, and writes the report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from aln_p3_core.commands.options import explainer_files
from aln_p3_core.commands.outputs import output_folder

_EPILOG = """
\b
Examples
  # A trained driver, all that can be measured:
  aln-p3 evaluate out/nano/driver.safetensors --data out/world --split val --report out/val --jobs 2
\b
  # Open loop only, on scenes that nothing was chosen by:
  aln-p3 evaluate driver.safetensors --data out/world --split heldout --suite planning,detection --report out/held
\b
  # What simple planners reach:
  aln-p3 evaluate constant_velocity --data out/world --suite planning --report out/baselines
\b
  # What the explainer says about 100 key frames, scored against the data set's texts:
  aln-p3 evaluate out/joint/driver.safetensors --data out/world --split heldout --suite language --report out/words
\b
  # Recorded drives too, a row each:
  aln-p3 evaluate driver.safetensors --suite planning --log scene-0061.npz --log scene-0103.npz --report out/logs
\b
Predictions and drives are kept in the report's folder: another suite, or the same command after an interruption, goes
on where it stopped. docs/evaluation.md defines every measure.
"""


@click.command("evaluate", epilog=_EPILOG)
@click.argument("subjects", nargs=-1, required=True, metavar="CHECKPOINT|PLANNER...")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="ROOT",
    help="Data set in nuScenes schema; needed for everything but the closed loop.",
)
@click.option("--split", default="val", show_default=True, help="Of scenes and cities; choose on val, publish heldout.")
@click.option(
    "--suite",
    "suites",
    default="all",
    show_default=True,
    metavar="all|planning,detection,map,motion,language,closed_loop",
    help="What is measured; several are separated by commas. language needs an explainer (all leaves it out without).",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    required=True,
    help="Folder for the report.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the scenes. They change no number.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="CPU threads of a network in each process.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=0),
    default=0,
    help="Scenes that go through a network in step; changes the last digits [default: 1 on a CPU, 16 on a GPU].",
)
@click.option(
    "--maps",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    metavar="FOLDER",
    help="Keep the BEV maps there (0.3 to 1.3 MB a frame) and take those that are there: the passes of an evaluation, "
    "and drivers whose frozen encoder is the same, compute each map once. Changes no number; with --batch 1 only.",
)
@click.option(
    "--rate",
    "rates_hz",
    type=click.Choice(["2", "10"]),
    multiple=True,
    help="Frames a second that a driver meets; 10 takes the sweeps between key frames. Repeatable [default: 2].",
)
@click.option("--per-scene", is_flag=True, help="A row for each scene beside.")
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    help="A recorded drive: rendered into the report's folder and evaluated too, with a row of its own. Repeatable.",
)
@click.option(
    "--explainer",
    "explainers",
    multiple=True,
    callback=explainer_files,
    metavar="FILE|nano",
    help="Language: who speaks; once for all drivers, or once for each [default: explainer.safetensors beside the "
    "driver, or the one that ships with it].",
)
@click.option(
    "--language-samples",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Language: key frames that are spoken about, evenly spread; 0 for all (5 to 11 s each on two cores).",
)
@click.option(
    "--language-tasks",
    default="explanation,caption,question,command,online",
    show_default=True,
    help="Language: what is asked; online: counts, places, motions and plans as the driver has them. intervention: "
    "explanations of scenes without the named cause, and with another command's plan (as long again).",
)
@click.option(
    "--language-captions",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Language: detected objects of a key frame that are described, best score first; 0 for all that the explainer "
    "reads.",
)
@click.option(
    "--language-questions",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Language: questions about a key frame, evenly spread; 0 for all, as benchmarks score them.",
)
@click.option(
    "--texts",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Language: folder with the data set's texts, where the root cannot hold them [default: the root's language].",
)
@click.option(
    "--train-texts",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="ROOT",
    help="Language: root or folder whose texts of split train give the rows of the most frequent text and answer "
    "[default: where the evaluated texts lie].",
)
@click.option("--scenes", "scenes_limit", type=click.IntRange(min=1), help="So many scenes of the split only.")
@click.option("--routes", default="all", show_default=True, help="Closed loop: quick, free, scenarios or all.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Closed loop: repetitions of the set with other seeds.",
)
@click.option(
    "--drive-rate", type=click.IntRange(min=1), default=2, show_default=True, help="Closed loop: plans a second."
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:n; another than auto only where --suite leaves out closed_loop (all has it).",
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True)
@click.option("--fresh", is_flag=True, help="Predict and drive again what is in the report already.")
def command(
    subjects: tuple[str, ...],
    data: Path | None,
    split: str,
    suites: str,
    report: Path,
    jobs: int,
    threads: int,
    batch: int,
    maps: Path | None,
    rates_hz: tuple[str, ...],
    per_scene: bool,
    logs: tuple[Path, ...],
    explainers: tuple[str, ...],
    language_samples: int,
    language_tasks: str,
    language_captions: int,
    language_questions: int,
    texts: Path | None,
    train_texts: Path | None,
    scenes_limit: int | None,
    routes: str,
    seeds: int,
    drive_rate: int,
    device: str,
    precision: str,
    fresh: bool,
) -> None:
    """Measures drivers and planners, and writes report.html, report.md and report.json.

    A driver is nano (it ships with the package), a checkpoint (or the folder that holds it alone) or untrained:RECIPE;
    planners that have names are human, expert, stand_still, constant_velocity, constant_curvature and
    ego_status_mlp. Baselines stand in every
    table of plans beside them, and both published protocols stand together.
    """
    from aln_p3_core.evaluation.evaluate import evaluate
    from aln_p3_core.evaluation.request import Request

    files = evaluate(
        Request(
            subjects=subjects,
            report=report,
            data=data,
            split=split,
            suites=tuple(name.strip() for name in suites.split(",") if name.strip()),
            jobs=jobs,
            threads=threads,
            batch=batch,
            maps=maps,
            rates_hz=tuple(int(rate) for rate in rates_hz) or (2,),
            per_scene=per_scene,
            logs=logs,
            explainers=explainers,
            language_samples=language_samples,
            language_tasks=tuple(name.strip() for name in language_tasks.split(",") if name.strip()),
            language_captions=language_captions,
            language_questions=language_questions,
            texts=texts,
            train_texts=train_texts,
            scenes_limit=scenes_limit or 0,
            routes=routes,
            seeds=seeds,
            drive_rate_hz=drive_rate,
            device=device,
            precision=precision,
            fresh=fresh,
            command=shlex.join(["aln-p3", *sys.argv[1:]]),
        )
    )
    click.echo(files["table"].read_text(encoding="utf-8"))
    click.echo(f"wrote {files['page']}, {files['table'].name} and {files['json'].name}")
