"""`aln-p3 check`: is a data set whole, and what is in it?"""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_file

_EPILOG = """
\b
Examples
  aln-p3 check data/nuscenes
  aln-p3 check data/world --calibration out/rig.yaml
"""


@click.command("check", epilog=_EPILOG)
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--version", help="Table folder, for example v1.0-mini [default: the only one there is].")
@click.option(
    "--calibration",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="Also write the cameras of the first scene to this .yaml or .json, as driver_node reads it.",
)
def command(root: Path, version: str | None, calibration: Path | None) -> None:
    """Checks a nuScenes-schema data set: tables, references between them, that every file is there, that pictures are
    whole and of their sizes, and that calibrations and poses can be.

    Decodes the pictures of all key frames. Names what is missing or broken; exit code 1 then. Tells which scenes have
    no map and no CAN messages, which are expansions that not everybody needs.
    """
    from aln_p3_core.calibration import calibration_of_scene, is_yaml, save_calibration
    from aln_p3_core.datasets.content_check import check_geometry, check_pictures
    from aln_p3_core.datasets.expansions import missing_expansions
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

    if calibration:
        is_yaml(calibration)  # no other ending is written, which is told at once
    dataset = NuScenesDataset(root, version)
    click.echo(f"{root}: {dataset.version}, {len(dataset.scenes)} scenes, {len(dataset)} key frames")
    for scene in dataset.scenes[:10]:
        cameras = ", ".join(dataset.cameras_of(scene))
        click.echo(f"  {scene}: {len(dataset.scene_tokens(scene))} key frames, {cameras}")
    if len(dataset.scenes) > 10:
        click.echo(f"  and {len(dataset.scenes) - 10} more")
    dataset.check_files(progress=True)
    click.echo("every file is there")
    check_geometry(dataset)
    check_pictures(dataset, progress=True)
    click.echo("every picture is whole, every calibration and pose is possible")
    for line in missing_expansions(dataset, dataset.scenes).lines():
        click.echo(line)
    if calibration:
        calibration.parent.mkdir(parents=True, exist_ok=True)
        save_calibration(calibration, calibration_of_scene(dataset))
        click.echo(f"wrote {calibration}")
