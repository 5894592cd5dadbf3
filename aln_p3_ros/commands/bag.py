"""`aln-p3 bag`: writes, plays and lists ROS 2 bags, without rosbag2."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_file


@click.group()
def command() -> None:
    """ROS 2 bags: made from nuScenes data, played, listed."""


@command.command("from-nuscenes")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--scene", default="", help="Name of the scene; the first one by default.")
@click.option("--version", default=None, help="Version folder such as v1.0-mini; detected by default.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), callback=output_file, help="Folder of the new bag."
)
@click.option("--storage", default="mcap", show_default=True, type=click.Choice(["mcap", "sqlite3"]))
@click.option("--raw", is_flag=True, help="Decoded images (large) instead of the files' own JPEG bytes.")
@click.option("--key-frames-only", is_flag=True, help="Leave the sweeps between key frames out.")
@click.option("--no-lidar", is_flag=True, help="Leave the LiDAR out.")
@click.option("--ground-truth", is_flag=True, help="Add the annotated objects.")
@click.option(
    "--language",
    multiple=True,
    metavar="FILE|scene",
    help="Add language annotations: a file (Nu-X, TOD3Cap, NuScenes-QA, DriveLM), or the scene's description. "
    "May be given several times.",
)
@click.option(
    "--command",
    "route_command",
    default="none",
    show_default=True,
    type=click.Choice(["none", "right", "left", "straight", "ground_truth"]),
    help="Route command at every key frame; ground_truth peeks at the recorded future and says so.",
)
@click.option("--force", is_flag=True, help="Replace a bag that is there already.")
def from_nuscenes(
    root: Path,
    scene: str,
    version: str | None,
    out: Path,
    storage: str,
    raw: bool,
    key_frames_only: bool,
    no_lidar: bool,
    ground_truth: bool,
    language: tuple[str, ...],
    route_command: str,
    force: bool,
) -> None:
    """Writes a scene of the nuScenes-schema data set ROOT as a ROS 2 bag.

    Every message has its own stamp; the same input gives the same bytes.

    \b
    Example
      aln-p3 bag from-nuscenes data/nuscenes --scene scene-0061 --ground-truth --out out/scene-0061
    """
    from aln_p3_ros.bags.writer import check_free, write_bag
    from aln_p3_ros.replay.nuscenes_timeline import NuScenesTimeline, ReplayContent

    check_free(out.absolute(), force=force)
    content = ReplayContent(
        raw_images=raw,
        sweeps=not key_frames_only,
        lidar=not no_lidar,
        ground_truth=ground_truth,
        command=route_command,
        language=language,
    )
    timeline = NuScenesTimeline(root, scene, version, content)
    with click.progressbar(length=1000, label=f"writing {timeline.scene}") as bar:
        done = 0

        def advance(fraction: float) -> None:
            nonlocal done
            bar.update(int(fraction * 1000) - done)
            done = int(fraction * 1000)

        count = write_bag(timeline, out, storage=storage, force=force, progress=advance)
    seconds = (timeline.end_ns - timeline.start_ns) * 1e-9
    click.echo(f"{out}: {count} messages on {len(timeline.topics)} topics, {seconds:.2f} s")


@command.command("info")
@click.argument("bag", type=click.Path(path_type=Path))
def info(bag: Path) -> None:
    """Lists the topics of BAG (a folder, an .mcap or a .db3 file).

    \b
    Example
      aln-p3 bag info out/demo/bag
    """
    from aln_p3_ros.bags.reader import bag_summary, stamp_text

    summary = bag_summary(bag)
    total = sum(count for _, _, count in summary.counts)
    click.echo(f"{summary.path}: {total} messages")
    if total:
        seconds = (summary.end_ns - summary.start_ns) * 1e-9
        click.echo(f"{stamp_text(summary.start_ns)} to {stamp_text(summary.end_ns)}, {seconds:.3f} s")
    if not summary.whole:
        click.echo("The recording was cut off; this is what is left of it.")
    width = max((len(topic) for topic, _, _ in summary.counts), default=0)
    kinds = max((len(kind) for _, kind, _ in summary.counts), default=0)
    for topic, kind, count in summary.counts:
        click.echo(f"{topic:<{width}}  {kind:<{kinds}}  {count:>8}")


@command.command("play")
@click.argument("bag", type=click.Path(path_type=Path))
@click.option("--rate", default=1.0, show_default=True, help="Recorded seconds per second.")
@click.option("--loop", is_flag=True, help="Start over at the end; stamps jump back.")
@click.option("--start", "start_s", default=0.0, show_default=True, help="Start this far into the bag, s.")
@click.option("--topics", multiple=True, metavar="TOPIC", help="Only this topic; may be given several times.")
@click.option(
    "--clock",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "player", "off"]),
    help="What goes to /clock: the player's time or nothing; auto: the bag's own where it has one.",
)
@click.option("--paused", is_flag=True, help="Wait for the service ~/control before playing.")
@click.option("--wait", "wait_s", default=1.0, show_default=True, help="Wait this long for image subscribers, s.")
def play(
    bag: Path,
    rate: float,
    loop: bool,
    start_s: float,
    topics: tuple[str, ...],
    clock: str,
    paused: bool,
    wait_s: float,
) -> None:
    """Publishes any ROS 2 bag, message bytes as they are.

    Quality of service is the recorded one. Topics whose type is not installed are left out with a warning. The
    replay_node that plays it offers pause, step, seek and rate as its service ~/control. Ctrl-C ends it.

    \b
    Examples
      aln-p3 bag play out/scene-0061 --loop
      aln-p3 bag play out/demo/bag --rate 0.5 --start 10 --topics /planning/trajectory --topics /clock
    """
    from aln_p3_core.errors import DataError
    from aln_p3_ros.environment import use_dds_profile

    if not bag.exists():
        raise DataError(f"there is no bag at {bag}")
    use_dds_profile()
    from aln_p3_ros.replay_node import main

    parameters = {
        "bag": str(bag.absolute()),
        "rate": rate,
        "loop": loop,
        "start_offset_s": start_s,
        "clock": clock,
        "start_paused": paused,
        "wait_for_subscribers_s": wait_s,
    }
    if topics:
        parameters["bag_topics"] = list(topics)
    main(parameters=parameters)
