"""The view in Rerun: cameras, boxes, forecasts, map and plan in space, to look around in and to scrub in time.

For machines without RViz. Rerun is optional (`pip install '.[rerun]'`); nothing is imported from it
before it is asked for. This file knows no ROS.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content, DrawnBox
from aln_p3_core.drawing.paths import on_ground, smooth_path
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraView, DrivingFrame, EncodedImage
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points

_IMAGE_PLANE_M = 4.0
_SERVER_START_S = 20.0


class RerunView:
    """Logs frames to one Rerun recording.

    Attributes:
        where: a sentence that says where to look.
    """

    def __init__(self, rerun: Any, recording: Any, where: str, server: subprocess.Popen[bytes] | None = None) -> None:
        self._rr = rerun
        self._server = server
        self._recording = recording
        self.where = where
        self._logged: set[str] = set()
        self._log("world", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    @classmethod
    def open(cls, mode: str, file: str | Path = "out/view.rrd", port: int = 9090) -> RerunView | None:
        """Starts a recording, or returns None for mode "off".

        Args:
            mode: "off", "record" (to `file`) or "serve" (a page for browsers).
            file: .rrd file; its folder is made.
            port: of the page; the data come on the next port.

        Raises:
            ConfigError: when rerun-sdk is not installed, a port is taken, or the server does not start.
        """
        if mode == "off":
            return None
        try:
            import rerun
            import rerun.blueprint as blueprint
        except ImportError as error:
            raise ConfigError(
                f"rerun={mode} needs rerun-sdk 0.23, which cannot be imported ({error}): "
                "pip install 'rerun-sdk==0.23.*' 'pyarrow<22', or set rerun to off"
            ) from error
        recording = rerun.RecordingStream("aln_p3")
        layout = _layout(blueprint)
        if mode == "record":
            path = Path(file).absolute()
            path.parent.mkdir(parents=True, exist_ok=True)
            recording.save(path, default_blueprint=layout)
            return cls(rerun, recording, f"recording to {path}; open it with: rerun {path}")
        # The library's own server listens on every network interface; the program's can be told not to.
        server = _serve(port)
        recording.connect_grpc(f"rerun+http://127.0.0.1:{port + 1}/proxy", default_blueprint=layout)
        page = f"http://127.0.0.1:{port}/?url=rerun%2Bhttp://127.0.0.1:{port + 1}/proxy"
        return cls(rerun, recording, f"open {page} in a browser", server)

    def log(self, frame: DrivingFrame, content: Content, truth: Content, text: str = "") -> None:
        """Adds one frame: images, what was seen and planned, ground truth, and text (Markdown)."""
        rr = self._rr
        self._recording.set_time("time", timestamp=frame.reference_stamp_ns * 1e-9)
        self._log(
            "world/ego",
            rr.Transform3D(translation=frame.T_global_ego[:3, 3], mat3x3=frame.T_global_ego[:3, :3]),
        )
        for name in frame.cameras:
            view = frame.views.get(name)
            path = f"world/ego/{name.lower()}"
            if view is None:
                self._clear([path])
            else:
                self._log_camera(path, frame, view)
        T_ego_model = frame.T_ego_model
        self._log_boxes("world/ego/objects", content.boxes, T_ego_model, None)
        self._log_boxes("world/ego/truth", truth.boxes, T_ego_model, palette.TRUTH)
        self._log_lines(
            "world/ego/map",
            [on_ground(line.points_model, T_ego_model) for line in content.lines],
            [palette.map_color(line.class_name) for line in content.lines],
            T_ego_model,
            0.08,
        )
        self._log_plan(content, T_ego_model)
        self._log("explanation", rr.TextDocument(text, media_type="text/markdown"))

    def close(self) -> None:
        """Writes what is left and ends the recording."""
        self._recording.flush(blocking=True)
        self._recording.disconnect()
        if self._server is not None:
            _end(self._server)

    def _log_camera(self, path: str, frame: DrivingFrame, view: CameraView) -> None:
        rr = self._rr
        calibration = view.calibration
        # Where the camera was at its own exposure, seen from the vehicle at the reference stamp.
        T_ego_cam = invert_transform(frame.T_global_ego) @ view.T_global_ego @ calibration.T_ego_cam
        self._log(path, rr.Transform3D(translation=T_ego_cam[:3, 3], mat3x3=T_ego_cam[:3, :3]))
        pinhole = rr.Pinhole(
            image_from_camera=calibration.intrinsic,
            resolution=[calibration.width, calibration.height],
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=_IMAGE_PLANE_M,
        )
        self._log(f"{path}/image", pinhole)
        if isinstance(view.image, EncodedImage):
            data = bytes(view.image.data)
            kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
            self._log(f"{path}/image", rr.EncodedImage(contents=data, media_type=kind))
        else:
            self._log(f"{path}/image", rr.Image(view.image, color_model=view.color.upper()).compress(80))

    def _log_boxes(
        self, path: str, boxes: tuple[DrawnBox, ...], T_ego_model: FloatArray, color: palette.Color | None
    ) -> None:
        rr = self._rr
        if not boxes:
            return self._clear([path, f"{path}/forecasts"])
        turn = float(np.arctan2(T_ego_model[1, 0], T_ego_model[0, 0]))
        angles = [box.heading_model + turn for box in boxes]
        colors = [color or palette.agent_color(box.class_name) for box in boxes]
        self._log(
            path,
            rr.Boxes3D(
                centers=[transform_points(T_ego_model, box.center_model) for box in boxes],
                sizes=[box.size_lwh for box in boxes],
                quaternions=np.array([(0, 0, np.sin(angle / 2), np.cos(angle / 2)) for angle in angles]),
                colors=colors,
                labels=[
                    palette.short_name(box.class_name) + ("" if box.score is None else f" {box.score:.2f}")
                    for box in boxes
                ],
                show_labels=color is None,
            ),
        )
        strips, shades = [], []
        for box, shade in zip(boxes, colors, strict=True):
            for future, probability in zip(box.forecasts_model, box.probabilities, strict=True):
                points = np.concatenate([box.center_model[None, :2], future])
                ground = np.full((len(points), 1), box.center_model[2] - box.size_lwh[2] / 2)
                strips.append(np.hstack([points, ground]))
                shades.append((*shade, round(255 * (0.15 + 0.85 * float(probability)))))
        self._log_lines(f"{path}/forecasts", strips, shades, T_ego_model, 0.06)

    def _log_plan(self, content: Content, T_ego_model: FloatArray) -> None:
        plan = content.plan
        if plan is None:
            return self._clear(["world/ego/plan", "world/ego/plan/alternatives"])
        color = palette.PLAN_STOPPED if plan.stopped else palette.PLAN
        paths = [
            on_ground(smooth_path(np.concatenate([np.zeros((1, 2)), points])), T_ego_model)
            for points in (plan.points_model, *plan.alternatives_model)
        ]
        self._log_lines("world/ego/plan", paths[:1], [color], T_ego_model, 0.25)
        self._log_lines(
            "world/ego/plan/alternatives",
            paths[1:],
            [palette.PLAN_ALTERNATIVE] * (len(paths) - 1),
            T_ego_model,
            0.05,
        )

    def _log_lines(
        self, path: str, strips_model: list[FloatArray], colors: list[Any], T_ego_model: FloatArray, radius: float
    ) -> None:
        if not strips_model:
            return self._clear([path])
        strips = [transform_points(T_ego_model, strip) for strip in strips_model]
        self._log(path, self._rr.LineStrips3D(strips, colors=colors, radii=radius))

    def _log(self, path: str, archetype: Any, static: bool = False) -> None:
        self._logged.add(path)
        self._recording.log(path, archetype, static=static)

    def _clear(self, paths: Iterable[str]) -> None:
        """Takes away what an earlier frame showed there."""
        for path in paths:
            if path in self._logged:
                self._recording.log(path, self._rr.Clear(recursive=True))
                self._logged.discard(path)


def _serve(port: int) -> subprocess.Popen[bytes]:
    """Starts Rerun's server for this machine only: the page on `port`, the data on the next one."""
    for number in (port, port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                raise ConfigError(f"Rerun cannot serve on port {number}: {error}; choose another rerun_port") from error
    command = [sys.executable, "-m", "rerun", "--serve-web", "--bind", "127.0.0.1"]
    command += ["--web-viewer-port", str(port), "--port", str(port + 1), "--server-memory-limit", "512MB"]
    # The Python program starts the real one as its child: a group of their own lets us end both.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + _SERVER_START_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                return server
        time.sleep(0.1)
    _end(server)
    raise ConfigError(f"Rerun's server did not start within {_SERVER_START_S:.0f} s: try {' '.join(command)}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and the child that it started, which may outlive it for a moment."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)


def _layout(blueprint: Any) -> Any:
    """Space on the left, cameras and text on the right."""
    cameras = ("front_left", "front", "front_right", "back_left", "back", "back_right")
    pictures = [
        blueprint.Spatial2DView(
            origin=f"world/ego/cam_{name}/image",
            contents=["$origin/**", "/world/ego/objects", "/world/ego/map/**", "/world/ego/plan/**"],
            name=name.replace("_", " "),
        )
        for name in cameras
    ]
    return blueprint.Blueprint(
        blueprint.Horizontal(
            blueprint.Spatial3DView(origin="world/ego", contents="world/**", name="vehicle"),
            blueprint.Vertical(
                blueprint.Grid(*pictures, grid_columns=3),
                blueprint.TextDocumentView(origin="explanation", name="explanation"),
                row_shares=[4, 1],
            ),
            column_shares=[1, 1.4],
        ),
        collapse_panels=True,
    )
