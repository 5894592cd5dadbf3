"""`aln-p3 record`: records topics to MCAP."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import click

from aln_p3_core.commands.options import NumberRange
from aln_p3_core.commands.outputs import output_file


@click.command("record")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), callback=output_file, help="Folder of the new bag."
)
@click.option("--topics", multiple=True, metavar="TOPIC", help="Only this topic; may be given several times.")
@click.option("--for", "seconds", default=None, type=NumberRange(min=0.0), metavar="S", help="Stop after S seconds.")
@click.option("--sim-time", is_flag=True, help="Stamp arrivals with /clock instead of the system's time.")
@click.option("--force", is_flag=True, help="Replace a bag that is there already.")
def command(out: Path, topics: tuple[str, ...], seconds: float | None, sim_time: bool, force: bool) -> None:
    """Records what the nodes publish, to a bag in MCAP. Ctrl-C (or SIGTERM) ends it, with a whole bag and exit code 0.

    Without --topics everything is recorded, also topics that appear later.

    \b
    Examples
      aln-p3 record --out out/drive
      aln-p3 record --out out/plans --topics /planning/trajectory --topics /clock --sim-time --for 60
    """
    from aln_p3_ros.environment import use_dds_profile

    use_dds_profile()
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

    from aln_p3_ros.bags.recorder import Recorder
    from aln_p3_ros.spin import call_on_signals

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    ending = threading.Event()
    call_on_signals(ending.set)
    node = rclpy.create_node("recorder", parameter_overrides=[Parameter("use_sim_time", value=sim_time)])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        recorder = Recorder(node, out.absolute(), topics, force=force)
        end = None if seconds is None else time.monotonic() + seconds
        click.echo(f"recording to {out}", err=True)
        try:
            while not ending.is_set() and (end is None or time.monotonic() < end):
                executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass
        finally:
            recorder.close()
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    width = max((len(topic) for topic in recorder.counts), default=0)
    for topic, count in recorder.counts.items():
        click.echo(f"{topic:<{width}}  {count:>8}")
    for topic in recorder.missing:
        click.echo(f"{topic:<{width}}  never appeared", err=True)
    click.echo(f"{out}: {sum(recorder.counts.values())} messages on {len(recorder.counts)} topics")
