"""`aln-p3 world drive`, with `--ros`: the same routes over real topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.world_drive import make_command

if TYPE_CHECKING:
    from aln_p3_core.world.closed_loop.drives import Drive
    from aln_p3_core.world.closed_loop.runner import RouteResult
    from aln_p3_core.world.closed_loop.settings import DriveSettings
    from aln_p3_ros.simulator.route_driver import RosRouteDriver

_KEY = "aln_p3_ros.route_driver"


def drive_through_ros(
    what: Drive, planner: str, settings: DriveSettings, threads: int = 1, precision: str = "auto"
) -> RouteResult:
    """Drives a route over topics. The nodes live until the command ends."""
    # Only --ros needs ROS 2.
    from aln_p3_ros.simulator.route_driver import RosRouteDriver

    context = click.get_current_context()
    driver: RosRouteDriver | None = context.meta.get(_KEY)
    if driver is None:
        driver = context.meta[_KEY] = RosRouteDriver()
        context.call_on_close(driver.close)
    return driver(what, planner, settings, threads, precision)


command = make_command(ros_drive=drive_through_ros)
