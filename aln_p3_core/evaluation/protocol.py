"""`PlanningProtocol`: how plans are counted, as a named, versioned file in `protocols/`.

`read_planning_protocol("p3")`, or a path to a file of one's own. `dataclasses.replace` makes variants: that is how
docs/evaluation.md measures what each oddity of the released evaluations is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.protocol_file import read_settings

#: Protocols in the tree, by title.
PLANNING_PROTOCOLS = {
    "vad": "planning_vad_v1.yaml",
    "uniad": "planning_uniad_v1.yaml",
    "p3": "planning_p3_v1.yaml",
}
#: Seconds ahead at which values are given.
HORIZONS_S = (1.0, 2.0, 3.0)
#: What agents are, for planning; `agent_kinds` names some of them. "vehicle" and "pedestrian" are of nuScenes' ten
#: detection classes, bicycles and motorcycles among the vehicles; "other" are all further people, vehicles and animals.
AGENT_KINDS = ("vehicle", "pedestrian", "other")

Values = Literal["mean_to_horizon", "at_horizon", "both"]
Samples = Literal["six_future_frames", "all", "known_steps"]
TrueContact = Literal["counts_as_free", "left_out"]
Outlines = Literal["grid", "polygon"]
RowsFrom = Literal["front", "rear"]
AgentBoxes = Literal["present_boxes_moved", "boxes_of_each_frame"]
BoxOrigin = Literal["model", "ego"]
EgoHeading = Literal["fixed", "path"]


@dataclass(frozen=True, slots=True)
class PlanningProtocol:
    """One way to count.

    Attributes:
        name: with its version. title: in tables.
        values: of a horizon: the mean over the steps up to it, the value at that step, or both, side by side.
        samples: which ones count: those with six future key frames; all (a step without truth counts as a perfect
            one); or every step that is known.
        true_contact: a step at which the true path itself touches something counts as free, or does not count.
        outlines: boxes as cells of 0.5 m in a grid of +-50 m, or as they are.
        grid_rows_from: whether row 0 of the grid lies ahead or behind. Rounding differs by up to a cell.
        point_lookup_m: distance of the grid's corner in the look-up of the point collision; None for no such value.
        agent_boxes: today's boxes moved along their futures, or the boxes that are annotated then, those of agents
            that come into sight later too.
        agent_kinds: what one can collide with, of AGENT_KINDS.
        agent_range_m: agents count whose centre is now within |x|, |y|; None for all.
        seen_agents_only: agents count that have a LiDAR or radar point now.
        ego_length_m, ego_width_m: of the ego's box.
        ego_box_origin, ego_center_ahead_m: the box's middle lies so far ahead of the origin of the model frame or of
            the ego frame (rear axle).
        ego_heading: the box stays as it stands now, or turns with the path.
        curbs: whether contacts with the road's edge are counted beside.
    """

    name: str
    title: str
    values: Values
    samples: Samples
    true_contact: TrueContact
    outlines: Outlines
    grid_rows_from: RowsFrom | None
    point_lookup_m: float | None
    agent_boxes: AgentBoxes
    agent_kinds: tuple[str, ...]
    agent_range_m: tuple[float, float] | None
    seen_agents_only: bool
    ego_length_m: float
    ego_width_m: float
    ego_box_origin: BoxOrigin
    ego_center_ahead_m: float
    ego_heading: EgoHeading
    curbs: bool

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(f"{self.name}: {key} must be one of {list(choices)}, got {getattr(self, key)!r}")
        unknown = set(self.agent_kinds) - set(AGENT_KINDS)
        if unknown or not self.agent_kinds:
            raise ConfigError(f"{self.name}: agent_kinds must name some of {AGENT_KINDS}, got {self.agent_kinds}")
        if self.ego_length_m <= 0 or self.ego_width_m <= 0:
            raise ConfigError(f"{self.name}: the ego's length and width must be above 0")
        on_grid = self.outlines == "grid"
        if on_grid and (self.ego_heading, self.ego_box_origin) != ("fixed", "model"):
            raise ConfigError(f"{self.name}: outlines on a grid have ego_heading fixed and ego_box_origin model only")
        if on_grid != (self.grid_rows_from is not None) or (self.point_lookup_m is not None and not on_grid):
            raise ConfigError(f"{self.name}: grid_rows_from and point_lookup_m belong to outlines on a grid")


def read_planning_protocol(name: str | Path) -> PlanningProtocol:
    """A protocol of the tree by title (`PLANNING_PROTOCOLS`), or one from a file.

    Raises:
        ConfigError: for an unknown name, a file that cannot be read, unknown or missing keys, and wrong values.
    """
    names = {field.name for field in fields(PlanningProtocol)}
    tree, source = read_settings(name, PLANNING_PROTOCOLS, names, "planning protocol")
    values = dict(tree)
    try:
        values["agent_kinds"] = tuple(str(kind) for kind in tree["agent_kinds"])
        if tree["agent_range_m"] is not None:
            x, y = tree["agent_range_m"]
            values["agent_range_m"] = (float(x), float(y))
        for key in ("ego_length_m", "ego_width_m", "ego_center_ahead_m"):
            values[key] = float(tree[key])
        if tree["point_lookup_m"] is not None:
            values["point_lookup_m"] = float(tree["point_lookup_m"])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    for key in ("seen_agents_only", "curbs"):
        if not isinstance(tree[key], bool):
            raise ConfigError(f"{source}: {key} must be true or false, got {tree[key]!r}")
    return PlanningProtocol(**values)


def _choices() -> dict[str, tuple[Any, ...]]:
    """Settings that take one of a few words, with those words."""
    found = {}
    for key, hint in get_type_hints(PlanningProtocol).items():
        words = [arg for part in (hint, *get_args(hint)) for arg in get_args(part) if isinstance(arg, str)]
        words += [arg for arg in get_args(hint) if isinstance(arg, str) and arg not in words]
        if words:
            found[key] = tuple(words) + ((None,) if type(None) in get_args(hint) else ())
    return found


_CHOICES = _choices()
