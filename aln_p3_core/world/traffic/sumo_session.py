"""One SUMO simulation in this process, through libsumo."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import ClassVar
from xml.sax.saxutils import quoteattr

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.ego import EGO_SIZE_LWH
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

EGO = "ego"
#: Sublanes, m: without them lane changes jump sideways.
LATERAL_RESOLUTION_M = 0.8

# kind -> SUMO's class, acceleration, braking, top speed (m/s), sigma (imperfection), lateral speed (m/s)
_CLASSES = {
    ActorKind.CAR: ("passenger", 2.4, 4.5, 40.0, 0.3, 1.0),
    ActorKind.VAN: ("delivery", 2.1, 4.2, 36.0, 0.3, 0.9),
    ActorKind.TRUCK: ("truck", 1.3, 3.8, 25.0, 0.3, 0.7),
    ActorKind.BUS: ("bus", 1.2, 3.8, 22.0, 0.2, 0.7),
    ActorKind.MOTORCYCLE: ("motorcycle", 3.0, 5.0, 40.0, 0.3, 1.0),
    ActorKind.BICYCLE: ("bicycle", 1.0, 3.0, 5.2, 0.3, 0.6),
}
#: Gaps at standstill, m: the corners of long vehicles reach far in bends.
_GAPS = {ActorKind.BICYCLE: 1.2, ActorKind.TRUCK: 3.0, ActorKind.BUS: 3.0}


def vehicle_type(model: int) -> str:
    """SUMO's type of a model."""
    return f"model{model}"


def shadow_type(model: int) -> str:
    """SUMO's type of an actor that somebody else moves."""
    return f"shadow{model}"


class SumoSession:
    """An open simulation. `sumo` is the libsumo module. SUMO allows one per process: opening another ends this one."""

    _open: ClassVar[SumoSession | None] = None

    def __init__(self, network: Path, seed: int) -> None:
        """Loads a network.

        Args:
            network: SUMO network file.
            seed: of SUMO's own draws.

        Raises:
            ConfigError: when libsumo is not installed.
            DataError: when SUMO cannot load the network.
        """
        try:
            import libsumo
        except ImportError as error:
            raise ConfigError(
                f"traffic needs libsumo ({error}); pip install '.[world]' in the source tree brings it"
            ) from error
        if not network.is_file():
            raise DataError(f"no SUMO network at {network}")
        if SumoSession._open is not None:
            SumoSession._open.close()
        self.sumo: ModuleType = libsumo
        with tempfile.TemporaryDirectory(prefix="aln_p3_sumo_") as folder:
            types = Path(folder) / "types.add.xml"
            types.write_text(_types_xml(), encoding="utf-8")
            try:
                libsumo.start(_arguments(network, types, seed))
            except (libsumo.TraCIException, RuntimeError) as error:
                raise DataError(f"SUMO cannot load {network}: {error}") from error
        SumoSession._open = self

    @property
    def is_open(self) -> bool:
        """Whether this is the simulation that libsumo holds."""
        return SumoSession._open is self

    def require_open(self) -> None:
        """Raises ConfigError when the simulation was ended, by `close` or by opening another one."""
        if not self.is_open:
            raise ConfigError(
                "this SUMO simulation has ended: one process runs one simulation at a time; finish an episode before "
                "starting the next, or run them in separate processes"
            )

    def close(self) -> None:
        """Ends the simulation; safe to call twice."""
        if self.is_open:
            SumoSession._open = None
            self.sumo.close()


def _arguments(network: Path, types: Path, seed: int) -> list[str]:
    options: dict[str, object] = {
        "net-file": network,
        "additional-files": types,
        "step-length": TRAFFIC_STEP_S,
        "lateral-resolution": LATERAL_RESOLUTION_M,
        "seed": seed % 2**31,
        # Nobody disappears: neither after standing long, nor after a collision.
        "time-to-teleport": -1,
        "collision.action": "none",
        "max-depart-delay": 10,
        # Who has waited long takes smaller gaps: so knots dissolve.
        "time-to-impatience": 30,
        "step-method.ballistic": "true",
        "no-step-log": "true",
        "no-warnings": "true",
        "duration-log.disable": "true",
        "xml-validation": "never",
        "xml-validation.net": "never",
    }
    return ["sumo", *(text for key, value in options.items() for text in (f"--{key}", str(value)))]


def _types_xml() -> str:
    rows = []
    for index, model in enumerate(MODELS):
        length, width, height = model.size_lwh
        size = f'length="{length}" width="{width}" height="{height}"'
        if model.kind.is_static:
            continue
        if model.kind is ActorKind.PEDESTRIAN:
            speed = "normc(1.05,0.1,0.85,1.3)" if model.child else "normc(1.35,0.18,0.9,1.8)"
            rows.append(
                f'<vType id="{vehicle_type(index)}" vClass="pedestrian" {size} maxSpeed="3" desiredMaxSpeed="1"'
                f' speedFactor="{speed}" minGap="0.3"/>'
            )
            # A shadow of somebody on foot is a narrow vehicle to the others: they keep their distance from it.
            size = f'length="{max(length, 0.5)}" width="{max(width, 0.5)}" height="{height}"'
        else:
            name, acceleration, braking, top, sigma, lateral = _CLASSES[model.kind]
            gap = _GAPS.get(model.kind, 2.2)
            rows.append(
                f'<vType id="{vehicle_type(index)}" vClass="{name}" {size} accel="{acceleration}" decel="{braking}"'
                f' emergencyDecel="8" maxSpeed="{top}" sigma="{sigma}" tau="1.1" minGap="{gap}"'
                f' speedFactor="normc(0.97,0.07,0.8,1.12)" maxSpeedLat="{lateral}" minGapLat="0.5"'
                # Who stands does not slide sideways.
                f' lcMaxSpeedLatStanding="0" lcMaxSpeedLatFactor="0.25"'
                f' latAlignment="center" lcSpeedGain="0.6" lcPushy="0" lcAssertive="1" jmTimegapMinor="1.0"'
                f' jmDriveAfterYellowTime="1.5" impatience="0.2"/>'
            )
        rows.append(f'<vType id="{shadow_type(index)}" vClass="passenger" {size} minGap="0.5" decel="6" sigma="0"/>')
    length, width, height = EGO_SIZE_LWH
    rows.append(
        f'<vType id={quoteattr(EGO)} vClass="passenger" length="{length}" width="{width}" height="{height}"'
        ' accel="3.5" decel="5" emergencyDecel="8" sigma="0" minGap="1"/>'
    )
    return "<additional>\n" + "\n".join(rows) + "\n</additional>\n"
