"""`aln-p3 parity`: driver, losses and metrics against golden values of the released code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.outputs import output_file
from aln_p3_core.whole_files import write_json

if TYPE_CHECKING:
    from aln_p3_core.driver.network import Precision
    from aln_p3_core.evaluation.metric_line import MetricLine
    from aln_p3_core.runtime.parity import Comparison

_EPILOG = """
\b
Example
  aln-p3 parity --oracle golden/vad_a --metrics golden/metrics --json out/parity.json
"""


@click.command("parity", epilog=_EPILOG)
@click.option(
    "--oracle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of golden tensors: config.json, weights, inputs and frames, loss_case*.safetensors, or "
    "msdeform_units.safetensors and plan_loss_units.safetensors.",
)
@click.option(
    "--metrics",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of golden metrics: sub-folders planning, detection, map, motion, caption, hint_ad, tod3cap, "
    "nuscenes_qa (captions need Java). Others print `not yet`.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="Also write a report here.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Of the driver. Reduced ones tell the errors of the outputs, without a verdict.",
)
def command(oracle: Path | None, metrics: Path | None, json_path: Path | None, precision: Precision) -> None:
    """Compare every stored value; print a line for each and a verdict last. Exit code 1 on a difference.

    Give --oracle, --metrics or both.
    """
    if oracle is None and metrics is None:
        raise click.UsageError("give --oracle FOLDER, --metrics FOLDER or both")
    tensors = _check_tensors(oracle, precision) if oracle is not None else []
    lines = _check_metrics(metrics) if metrics is not None else []
    waiting = [line.folder for line in lines if not line.name]
    lines = [line for line in lines if line.name]
    failed_tensors = [result for result in tensors if not result.ok]
    failed_lines = [line for line in lines if not line.ok]
    for folder, count in ((oracle, len(tensors)), (metrics, len(lines))):
        if folder is not None and not count:
            told = f" (no metric has the name {', '.join(waiting)})" if waiting else ""
            raise click.ClickException(f"{folder} holds nothing to compare with{told}: name a folder of golden values")
    failed = bool(failed_tensors or failed_lines)
    if json_path is not None:
        report = {
            "ok": not failed,
            "compared": len(tensors) + len(lines),
            "tensors": [asdict(result) for result in tensors],
            "metrics": [asdict(line) for line in lines],
            "not_yet": waiting,
        }
        write_json(json_path, report)
    if oracle is not None and precision != "fp32":
        click.echo(f"{precision}: largest errors of the outputs are told above; agreement is judged in fp32 only")
    if waiting:
        click.echo(f"not yet: {', '.join(waiting)}")
    judged = [] if oracle is None or precision != "fp32" else [(len(failed_tensors), len(tensors), "tensors")]
    judged += [] if metrics is None else [(len(failed_lines), len(lines), "metrics")]
    if failed:
        click.echo("FAIL: " + ", ".join(f"{bad} of {count} {what} differ" for bad, count, what in judged))
        raise SystemExit(1)
    if judged:
        click.echo("ok: all " + " and ".join(f"{count} {what}" for _, count, what in judged) + " agree")


def _check_tensors(folder: Path, precision: Precision) -> list[Comparison]:
    click.echo(f"{'tensor':<60} {'shape':<20} {'max abs':>10} {'max rel':>10}")
    results = []
    for result in _comparisons(folder, precision):
        results.append(result)
        shape = "x".join(map(str, result.shape)) or "scalar"
        verdict = result.note or "ok" if result.ok else f"FAIL {result.note}".rstrip()
        title = f"{result.file}/{result.name}"
        click.echo(f"{title:<60} {shape:<20} {result.max_abs:>10.2e} {result.max_rel:>10.2e}  {verdict}")
    return results


def _comparisons(folder: Path, precision: Precision) -> Iterator[Comparison]:
    """The driver's, then the losses'; a folder of losses alone is fine."""
    from aln_p3_core.runtime.parity import check_parity, check_precision
    from aln_p3_core.training.loss_parity import UNITS_FILE, check_losses

    if precision != "fp32":
        yield from check_precision(folder, precision)
        return
    only_losses = (folder / UNITS_FILE).is_file() and not (
        (folder / "config.json").is_file() or (folder / "msdeform_units.safetensors").is_file()
    )
    if not only_losses:
        yield from check_parity(folder)
    yield from check_losses(folder)


def _check_metrics(folder: Path) -> list[MetricLine]:
    from aln_p3_core.evaluation.parity import check_metrics

    click.echo(f"{'metric':<60} {'max abs':>10} {'allowed':>10}")
    lines = []
    for line in check_metrics(folder):
        lines.append(line)
        title = f"{line.folder}/{line.name}".rstrip("/")
        if line.name:
            verdict = line.note or "ok" if line.ok else f"FAIL {line.note}".rstrip()
            click.echo(f"{title:<60} {line.max_abs:>10.2e} {line.tolerance:>10.2e}  {verdict}")
        else:
            click.echo(f"{title:<60} {'':>10} {'':>10}  {line.note}")
    return lines
