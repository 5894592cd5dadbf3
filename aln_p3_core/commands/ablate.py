"""`aln-p3 ablate`: a study from one file, resumable, with its table and intervals."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_folder

_EPILOG = """
\b
Examples
  # What it will do, what it can detect, and what it may cost; --data where data lie elsewhere than its file says:
  aln-p3 ablate alignment --out out/study --dry-run \\
      --data world=/data/world --data heldout=/data/heldout --data recorded=/data/drives
\b
  # All of it; the same command goes on after an interruption:
  aln-p3 ablate alignment --out out/study --jobs 2
\b
  # A part of it, and the table of what there is:
  aln-p3 ablate alignment --out out/study --only all --only none --seeds 0
  aln-p3 ablate alignment --out out/study --table
\b
  # Spread over two machines: each does some seeds, then one takes the results of the other:
  aln-p3 ablate alignment --out out/study --seeds 0,1
  aln-p3 ablate alignment --out out/study --seeds 2,3,4
  aln-p3 ablate alignment --out out/study --take other/study --table
\b
  # The same scenes recorded by a CPU that rounds otherwise have other marks; the refusal tells them, this takes them:
  aln-p3 ablate alignment --out out/study --take other/study --table --same-data world=62abdcb19eee
\b
docs/ablation.md tells how to read the table.
"""


@click.command("ablate", epilog=_EPILOG)
@click.argument("name", metavar="STUDY|FILE")
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              required=True, help="Folder of the study.")  # fmt: skip
@click.option("--data", "roots", multiple=True, metavar="NAME=FOLDER", help="Where data of the file lie; repeatable.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              help="Folder of prepared frames.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at a time.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of each [default: the cores / --jobs].")
@click.option("--only", multiple=True, metavar="VARIANT", help="This variant only; repeatable.")
@click.option("--seeds", metavar="0,1,...", help="These seeds only.")
@click.option("--dry-run", is_flag=True, help="Print plan, command lines and cost, and stop.")
@click.option("--table", "table_only", is_flag=True, help="Write table and pictures of what there is, and stop.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              help="Where results go [default: --out].")  # fmt: skip
@click.option("--take", "others", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Results of this study from another machine: its trainings count as done; repeatable.")  # fmt: skip
@click.option("--same-data", multiple=True, metavar="NAME=MARK",
              help="Mark of the same scenes, recorded on a machine that rounds otherwise, in results to take; "
              "repeatable.")  # fmt: skip
@click.option("--retry", is_flag=True, help="Try again what failed.")
@click.option("--keep", is_flag=True, help="Keep checkpoints and predictions of trainings that are measured.")
@click.option("--new", is_flag=True, help="Begin anew where the study file changed; the old study is put aside.")
def command(
    name: str,
    folder: Path,
    roots: tuple[str, ...],
    cache: Path | None,
    jobs: int,
    threads: int | None,
    only: tuple[str, ...],
    seeds: str | None,
    dry_run: bool,
    table_only: bool,
    results: Path | None,
    others: tuple[Path, ...],
    same_data: tuple[str, ...],
    retry: bool,
    keep: bool,
    new: bool,
) -> None:
    """Runs a STUDY: variants of one training, the same seeds for each, measured and compared.

    Every variant and seed is one folder: train, evaluate, row. What is measured, tested and detectable is written down
    before the first of them runs (plan.md); a study whose file changes afterwards is refused.
    """
    from aln_p3_core.studies.plan import cost_text, plan_text, run_lines
    from aln_p3_core.studies.rows import take_rows
    from aln_p3_core.studies.runner import Stop, has_failed, is_done, remove_maps, run_all
    from aln_p3_core.studies.steps import Options, planned_runs
    from aln_p3_core.studies.study import default_threads, find_roots, open_study, require_beginning, write_results
    from aln_p3_core.studies.study_file import read_study

    study = read_study(name)
    every = planned_runs(study, folder)
    given = {key: Path(value) for key, value in _pairs(roots, "--data", "NAME=FOLDER")}
    options = Options(find_roots(study, given), cache, jobs, threads or default_threads(jobs), keep)
    alike: dict[str, set[str]] = {}
    for key, mark in _pairs(same_data, "--same-data", "NAME=MARK"):
        alike.setdefault(key, set()).add(mark)
    if unknown := sorted({*alike} - {*study.roots}):
        raise click.UsageError(f"--same-data: {name} has no data {', '.join(unknown)}; it has {', '.join(study.roots)}")
    chosen = planned_runs(study, folder, only, _numbers(seeds))
    if dry_run:
        click.echo(plan_text(study))
        for line in run_lines(chosen, options):
            click.echo(line)
        click.echo(cost_text(chosen, options))
        return
    if not table_only:
        require_beginning(study)
    open_study(study, folder, options.roots, new=new)
    for other in others:
        click.echo(f"{len(take_rows(every, other, alike))} trainings taken from {other}")
    stop = Stop()
    if not table_only:
        click.echo(cost_text(chosen, options))
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            run_all(chosen, options, retry=retry, tell=click.echo, stop=stop)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if not keep:
            remove_maps(every)
    files = write_results(study, every, results or folder, shlex.join(["aln-p3", *sys.argv[1:]]))
    if stop.asked.is_set():
        click.echo("stopped; the same command goes on", err=True)
        raise SystemExit(128 + stop.number)
    click.echo(files["table"].read_text(encoding="utf-8"))
    click.echo(f"wrote {files['table']} and {files['rows'].name}")
    # The table of what there is so far is what --table asks for: trainings to come are no failure.
    missing = [run for run in chosen if not is_done(run) and (has_failed(run) or not table_only)]
    if missing:
        what = "failed" if table_only else "have no rows"
        told = "; ".join(run.label for run in missing)
        raise click.ClickException(f"{len(missing)} of {len(chosen)} trainings {what}: {told}")


def _pairs(values: tuple[str, ...], option: str, form: str) -> list[tuple[str, str]]:
    found = []
    for pair in values:
        key, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"{option} takes {form}, got {pair!r}")
        found.append((key, value))
    return found


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise click.UsageError(f"--seeds takes numbers with commas, got {text!r}") from error
