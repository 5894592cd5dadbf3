"""`aln-p3 parity`: the driver against golden tensors of the released code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aln_p3_core.driver.network import Precision


@click.command()
@click.option(
    "--oracle",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of golden tensors: config.json, weights, inputs and frames, or msdeform_units.safetensors.",
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write a report here.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Reduced ones tell the errors of the outputs, without a verdict.",
)
def command(folder: Path, json_path: Path | None, precision: Precision) -> None:
    """Compare every stored tensor; print a line for each and a verdict last. Exit code 1 on a difference."""
    from dataclasses import asdict

    from aln_p3_core.runtime.parity import check_parity, check_precision

    click.echo(f"{'tensor':<60} {'shape':<20} {'max abs':>10} {'max rel':>10}")
    results = []
    for result in check_parity(folder) if precision == "fp32" else check_precision(folder, precision):
        results.append(result)
        shape = "x".join(map(str, result.shape)) or "scalar"
        verdict = result.note or "ok" if result.ok else f"FAIL {result.note}".rstrip()
        title = f"{result.file}/{result.name}"
        click.echo(f"{title:<60} {shape:<20} {result.max_abs:>10.2e} {result.max_rel:>10.2e}  {verdict}")
    for path in sorted(folder.glob("loss_case*.safetensors")) if precision == "fp32" else []:
        click.echo(f"{path.stem:<60} not yet: losses are not part of the driver")
    failed = [result for result in results if not result.ok]
    if json_path is not None:
        report = {"ok": not failed, "compared": len(results), "tensors": [asdict(result) for result in results]}
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    if precision != "fp32":
        click.echo(f"{precision}: largest errors of the outputs are told above; agreement is judged in fp32 only")
        return
    if failed:
        click.echo(f"FAIL: {len(failed)} of {len(results)} tensors differ")
        raise SystemExit(1)
    click.echo(f"ok: all {len(results)} tensors agree")
