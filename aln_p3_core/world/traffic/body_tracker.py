"""Turns what SUMO tells of vehicles and people into bodies that move smoothly: middle, heading, velocity.

SUMO knows the front bumper and the direction of the lane under it, which jumps at every corner of a lane. Here the
rear axle is drawn along behind the front bumper, as a real one is: the body turns as smoothly as it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin

from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

#: The rear axle is this share of the length behind the front bumper.
_AXLE_SHARE = 0.75
#: A front bumper may move sideways so fast at any time, m/s; and turn off the direction of its body (tangent) by so
#: much more than in the step before.
_SIDEWAYS_MPS = 1.0
_STEERED_STEP = 0.25
_MOST_STEERED = 2.5
#: SUMO sets people over sideways where it re-sorts them into files. They walk there instead: a step that differs by
#: more than this from what their speed makes, m, is made good at this speed, m/s.
_SET_OVER_M = 0.12
_MAKE_GOOD_MPS = 0.6
#: They turn and change their velocity no faster than at these rates, 1/s and rad/s.
_WALK_RATE = 4.0
_WALK_TURN_RATE = 4.0
#: Whoever is farther than this from where it can have come was put there, m.
_PUT_M = 3.0


@dataclass(slots=True)
class Body:
    """An actor in motion. World frame.

    Attributes:
        model: index into `MODELS`.
        x, y: middle of the footprint, m. heading: rad. vx, vy: m/s. acceleration: m/s^2 along the heading.
        travelled: m since it was first seen.
        lives: how often SUMO has put it somewhere else; it is somebody new then.
    """

    model: int
    x: float
    y: float
    heading: float
    vx: float
    vy: float
    acceleration: float = 0.0
    travelled: float = 0.0
    lives: int = 0
    front_x: float = 0.0
    front_y: float = 0.0
    speed: float = 0.0
    steered: float = 0.0
    off_x: float = 0.0
    off_y: float = 0.0

    @property
    def length(self) -> float:
        """m."""
        return MODELS[self.model].size_lwh[0]


def heading_of_sumo(degrees: float) -> float:
    """Heading, rad counter-clockwise from east, of an angle in degrees clockwise from north."""
    return _wrapped(pi / 2 - degrees * pi / 180)


def sumo_angle(heading: float) -> float:
    """Degrees clockwise from north, 0..360, of a heading in rad counter-clockwise from east."""
    return (90.0 - heading * 180 / pi) % 360.0


def appeared(model: int, x: float, y: float, heading: float, speed: float) -> Body:
    """A body seen for the first time, its front bumper at (x, y), moving along its heading."""
    ahead = MODELS[model].size_lwh[0] / 2
    c, s = cos(heading), sin(heading)
    return Body(model, x - ahead * c, y - ahead * s, heading, speed * c, speed * s, front_x=x, front_y=y, speed=speed)


def move_vehicle(body: Body, x: float, y: float) -> None:
    """Moves a vehicle on by a step: its front bumper comes to (x, y), or as near as it gets without a jump."""
    dx, dy = x - body.front_x, y - body.front_y
    c, s = cos(body.heading), sin(body.heading)
    along, aside = c * dx + s * dy, c * dy - s * dx
    # Nobody is steered over at once: what is missing is made good in the next steps.
    most = max(_SIDEWAYS_MPS * TRAFFIC_STEP_S, (body.steered + _STEERED_STEP) * abs(along))
    aside = max(-most, min(most, aside)) if abs(along) + abs(aside) > 1e-3 else 0.0
    body.steered = min(abs(aside) / max(abs(along), 1e-3), _MOST_STEERED)
    front_x, front_y = body.front_x + c * along - s * aside, body.front_y + s * along + c * aside
    length = body.length
    axle = _AXLE_SHARE * length
    rear_x, rear_y = body.front_x - axle * c, body.front_y - axle * s
    heading = atan2(front_y - rear_y, front_x - rear_x)
    _settle(body, front_x - length / 2 * cos(heading), front_y - length / 2 * sin(heading), heading)
    body.front_x, body.front_y = front_x, front_y


def move_walker(body: Body, x: float, y: float, speed: float, direction: float) -> bool:
    """Moves somebody on foot on by a step: SUMO has him at (x, y), walking with `speed` in `direction` (rad).

    Returns:
        False, with nothing done, where SUMO has put him somewhere else altogether: nobody can walk there in a step.
    """
    jump_x = x - body.front_x - speed * TRAFFIC_STEP_S * cos(direction)
    jump_y = y - body.front_y - speed * TRAFFIC_STEP_S * sin(direction)
    if hypot(jump_x, jump_y) > _PUT_M:
        return False
    if hypot(jump_x, jump_y) > _SET_OVER_M:
        body.off_x -= jump_x
        body.off_y -= jump_y
    body.front_x, body.front_y = x, y
    off = hypot(body.off_x, body.off_y)
    kept = max(0.0, off - _MAKE_GOOD_MPS * TRAFFIC_STEP_S) / off if off > 0.0 else 0.0
    body.off_x, body.off_y = kept * body.off_x, kept * body.off_y
    share = _WALK_RATE * TRAFFIC_STEP_S
    step_x, step_y = (x + body.off_x - body.x) * share, (y + body.off_y - body.y) * share
    heading = body.heading
    if hypot(step_x, step_y) > 0.15 * TRAFFIC_STEP_S:
        turn = _wrapped(atan2(step_y, step_x) - heading)
        most_turn = _WALK_TURN_RATE * TRAFFIC_STEP_S
        heading = _wrapped(heading + max(-most_turn, min(most_turn, 0.5 * turn)))
    _settle(body, body.x + step_x, body.y + step_y, heading)
    return True


def place_body(body: Body, x: float, y: float, heading: float) -> None:
    """Moves a body on by a step to a place (x, y) that somebody else chose."""
    _settle(body, x, y, heading)
    body.front_x, body.front_y = x + body.length / 2 * cos(heading), y + body.length / 2 * sin(heading)


def _settle(body: Body, x: float, y: float, heading: float) -> None:
    """Notes the new pose and what follows from it: velocity, acceleration, way."""
    dx, dy = x - body.x, y - body.y
    body.vx, body.vy = dx / TRAFFIC_STEP_S, dy / TRAFFIC_STEP_S
    speed = body.vx * cos(heading) + body.vy * sin(heading)
    body.acceleration = (speed - body.speed) / TRAFFIC_STEP_S
    body.travelled += hypot(dx, dy)
    body.x, body.y, body.heading, body.speed = x, y, heading, speed


def is_walker(model: int) -> bool:
    """On foot."""
    return MODELS[model].kind is ActorKind.PEDESTRIAN


def _wrapped(angle: float) -> float:
    return (angle + pi) % (2 * pi) - pi
