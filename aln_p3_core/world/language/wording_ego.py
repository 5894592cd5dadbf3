"""Words for what the ego does and why: the wording of `narration` and `reasoning`, by split."""

from __future__ import annotations

from aln_p3_core.world.language.grammar import Alternatives, say
from aln_p3_core.world.language.stated import Action, Pace, Where
from aln_p3_core.world.planners.planner import Cause, Maneuver

#: Shared by all splits.
SUBJECTS = ("the ego car", "the ego vehicle", "the car", "the vehicle")
CONNECTORS = ("because", "since", "as")

SPEED: dict[Maneuver, Alternatives] = {
    Maneuver.KEEP_SPEED: say(
        "keeps its speed | drives on at the same speed | keeps a constant speed",
        val="holds its speed | goes on without changing its speed",
        heldout="maintains its speed | travels on at an even speed",
        mini="keeps going at an unchanged speed",
    ),
    Maneuver.ACCELERATE: say(
        "accelerates | speeds up | picks up speed",
        val="gains speed | is accelerating",
        heldout="increases its speed | gathers speed",
        mini="becomes faster",
    ),
    Maneuver.DECELERATE: say(
        "slows down | decelerates | reduces its speed",
        val="brakes | is slowing down",
        heldout="lowers its speed | loses speed",
        mini="becomes slower",
    ),
    Maneuver.STOP: say(
        "stops | comes to a stop | brakes to a standstill",
        val="is coming to a halt | brakes until it stands",
        heldout="pulls to a stop | halts",
        mini="is stopping",
    ),
    Maneuver.WAIT: say(
        "is standing still | stands and waits | remains stopped",
        val="is waiting without moving | stays stopped",
        heldout="does not move | stays where it is",
        mini="waits in place",
    ),
    Maneuver.START: say(
        "starts moving | moves off | sets off",
        val="pulls away | is starting to move",
        heldout="gets going | begins to roll",
        mini="begins to drive",
    ),
}

#: A steady drive, told by how fast it is.
PACE: dict[Pace, Alternatives] = {
    Pace.SLOW: say(
        "moves forward slowly | drives on at a low speed | rolls along slowly",
        val="continues at a slow pace | creeps along",
        heldout="travels on at walking to cycling pace | goes along unhurriedly",
        mini="keeps moving slowly",
    ),
    Pace.MODERATE: say(
        "drives on at a moderate speed | moves forward at a moderate speed | keeps a moderate speed",
        val="continues at a medium speed | goes on at an average pace",
        heldout="travels on at a modest pace | cruises at an ordinary speed",
        mini="keeps moving at a moderate pace",
    ),
    Pace.FAST: say(
        "drives on at a high speed | moves forward fast | keeps a high speed",
        val="continues at a fast pace | goes on quickly",
        heldout="travels on swiftly | cruises at a brisk speed",
        mini="keeps moving fast",
    ),
}

TURN = say(
    "turns {side} | is turning {side} | makes a {side} turn",
    val="takes a turn to the {side} | steers around the corner to the {side}",
    heldout="swings into the road on its {side} | rounds the corner on its {side}",
    mini="does a {side} turn",
)
CHANGE = say(
    "changes to the {side} lane | moves over into the {side} lane | changes lanes to the {side}",
    val="switches to the {side} lane | goes over to the lane on the {side}",
    heldout="shifts across into the lane on its {side} | merges into the {side} lane",
    mini="takes the {side} lane",
)
NUDGE = say(
    "swerves slightly to the {side} | moves a little to the {side} | shifts to the {side} in its lane",
    val="bears slightly {side} | draws a bit to the {side}",
    heldout="edges over to the {side} | gives way sideways to the {side}",
    mini="keeps more to the {side}",
)

WHERE: dict[Where, Alternatives] = {
    Where.AT_INTERSECTION: say(
        "at the intersection | before the intersection | in front of the intersection",
        val="ahead of the junction",
        heldout="where the roads meet",
        mini="at the junction",
    ),
    Where.THROUGH_INTERSECTION: say(
        "through the intersection | while crossing the intersection",
        val="on its way over the junction",
        heldout="as it crosses to the other side of the junction",
        mini="through the junction",
    ),
    Where.AT_CROSSING: say(
        "in front of the pedestrian crossing | before the crosswalk | at the crosswalk",
        val="ahead of the zebra crossing",
        heldout="short of the footpath over the road",
        mini="at the pedestrian crossing",
    ),
    Where.CURVE_LEFT: say(
        "along the curve to the left | in a left curve",
        val="through the left bend",
        heldout="as the road swings left",
        mini="in the bend to the left",
    ),
    Where.CURVE_RIGHT: say(
        "along the curve to the right | in a right curve",
        val="through the right bend",
        heldout="as the road swings right",
        mini="in the bend to the right",
    ),
    Where.BEHIND: say(
        "behind {object} | with {object} in front",
        val="in line after {object} | with {object} ahead",
        heldout="at the back of {object} | trailing {object}",
        mini="after {object}",
    ),
}

ReasonKey = tuple[Cause | None, Action]

#: Reasons of the speed. Those that begin with "to " need no connector.
REASONS: dict[ReasonKey, Alternatives] = {
    (None, Action.PRESENT): say(
        "it is taking care here | it is being careful",
        val="it is keeping on the safe side",
        heldout="it plays it safe here",
        mini="it is cautious",
    ),
    (Cause.FREE_ROAD, Action.PRESENT): say(
        "the road ahead is clear | there is nothing in its way | its lane is free",
        val="the way ahead is free | the lane ahead is clear",
        heldout="no one blocks its way | the path in front is open",
        mini="the road in front is free",
    ),
    (Cause.FREE_ROAD, Action.TURN): say(
        "to follow its route to the {side} | its route turns {side} here | it has to turn {side}",
        val="its way leads {side} at this place",
        heldout="the planned route branches off to the {side}",
        mini="the route goes {side}",
    ),
    (Cause.SPEED_LIMIT, Action.REACHED): say(
        "it is driving at the speed limit | it has reached the speed limit",
        val="the speed limit does not allow more",
        heldout="it may not go faster here",
        mini="its speed is the limit",
    ),
    (Cause.SPEED_LIMIT, Action.LOWER): say(
        "the speed limit is lower here | to keep the lower speed limit",
        val="a lower speed limit begins",
        heldout="it has to be slower from here on by the rules",
        mini="the limit drops",
    ),
    (Cause.SPEED_LIMIT, Action.BELOW): say(
        "it is still below the speed limit | to reach the speed limit",
        val="the speed limit allows more",
        heldout="it may go faster here",
        mini="its speed is under the limit",
    ),
    (Cause.CURVE, Action.BEND): say(
        "the road bends to the {side} | there is a curve to the {side} | it is driving through a {side} curve",
        val="the road curves {side}",
        heldout="the street winds round to the {side}",
        mini="a bend to the {side} comes",
    ),
    (Cause.CURVE, Action.TURN): say(
        "it has to be slow in the turn to the {side} | to take the turn to the {side} safely",
        val="its turn to the {side} is tight",
        heldout="the corner on the {side} asks for a low speed",
        mini="turning {side} is done slowly",
    ),
    (Cause.CURVE, Action.TURN_AHEAD): say(
        "it is going to turn {side} | its turn to the {side} is near",
        val="a tight turn to the {side} comes next",
        heldout="it is about to round a corner on the {side}",
        mini="it will turn {side} soon",
    ),
    (Cause.LEAD_VEHICLE, Action.AHEAD): say(
        "it is following {object} | {object} is driving ahead | to keep its distance to {object} ahead",
        val="{object} is in front of it | to stay behind {object}",
        heldout="{object} sets the pace in its lane | to leave a gap to {object}",
        mini="{object} is before it",
    ),
    (Cause.LEAD_VEHICLE, Action.MOVING_OFF): say(
        "{object} ahead is moving off | {object} ahead has started moving",
        val="{object} in front is driving on",
        heldout="{object} before it has got going",
        mini="{object} ahead drives off",
    ),
    (Cause.LEAD_VEHICLE, Action.PULLING_AWAY): say(
        "{object} ahead is pulling away | {object} ahead is driving faster now",
        val="{object} in front is gaining distance",
        heldout="{object} before it leaves it more room",
        mini="{object} ahead gets faster",
    ),
    (Cause.LEAD_VEHICLE, Action.CLEARED): say(
        "the traffic ahead is moving again | the lane ahead is no longer blocked",
        val="the traffic in front is rolling again",
        heldout="the hold-up in front dissolves",
        mini="the traffic in front moves",
    ),
    (Cause.LEAD_BRAKING, Action.PRESENT): say(
        "{object} ahead is braking | {object} in front is slowing down | to avoid {object} braking ahead",
        val="{object} ahead loses speed",
        heldout="{object} in its lane is getting slower",
        mini="{object} ahead brakes",
    ),
    (Cause.STOPPED_VEHICLE, Action.AHEAD): say(
        "{object} has stopped ahead | {object} is standing ahead | to wait behind {object}",
        val="{object} stands in front of it",
        heldout="{object} has come to rest in its lane",
        mini="{object} does not move ahead",
    ),
    (Cause.STOPPED_VEHICLE, Action.PARKED): say(
        "{object} is parked in its way | {object} parked ahead narrows the lane",
        val="{object} parked in front leaves too little room",
        heldout="{object} left at the kerb sticks into its lane",
        mini="{object} parked ahead is in the way",
    ),
    (Cause.BUS_AT_STOP, Action.PRESENT): say(
        "{object} is standing at a bus stop ahead | {object} ahead is waiting at its stop",
        val="{object} has pulled in at a bus stop ahead",
        heldout="{object} in front holds at a stop of its line",
        mini="{object} is at its stop",
    ),
    (Cause.CUT_IN, Action.PRESENT): say(
        "{object} is cutting in{from_side} | {object} is moving into its lane{from_side}",
        val="{object} is changing into its lane{from_side}",
        heldout="{object} squeezes in ahead{from_side}",
        mini="{object} cuts in{from_side}",
    ),
    (Cause.RED_LIGHT, Action.PRESENT): say(
        "the traffic light is red | the light ahead is red | it has to wait at a red light",
        val="the signal shows red | to obey the red signal",
        heldout="a red traffic light forbids it to go on",
        mini="the light is red",
    ),
    (Cause.YELLOW_LIGHT, Action.PRESENT): say(
        "the traffic light is yellow | the light ahead has turned yellow",
        val="the signal shows yellow",
        heldout="the traffic light is about to be red",
        mini="the light is yellow",
    ),
    (Cause.GREEN_LIGHT, Action.PRESENT): say(
        "the traffic light is green | the light has turned green",
        val="the signal shows green",
        heldout="the traffic light lets it pass",
        mini="the light is green",
    ),
    (Cause.ONCOMING_TRAFFIC, Action.PRESENT): say(
        "to give way to {object} coming towards it | {object} is coming towards it | "
        "to make way for an oncoming {bare}",
        val="{object} is approaching from the other direction",
        heldout="{object} on the other side has the right of way",
        mini="{object} comes the other way",
    ),
    (Cause.ONCOMING_TRAFFIC, Action.CLEARED): say(
        "the oncoming traffic has passed | there is a gap in the oncoming traffic",
        val="nobody comes towards it any more",
        heldout="the other direction has become free",
        mini="the oncoming traffic is gone",
    ),
    (Cause.CROSS_TRAFFIC, Action.PRESENT): say(
        "{object} is coming{from_side} | to give way to {object}{from_side} | {object} is crossing its way{from_side}",
        val="{object} on the crossing road{from_side} goes first",
        heldout="{object}{from_side} has priority at the junction",
        mini="{object} passes in front{from_side}",
    ),
    (Cause.CROSS_TRAFFIC, Action.CLEARED): say(
        "the crossing traffic has passed | there is a gap in the crossing traffic",
        val="nobody comes along the crossing road any more",
        heldout="the junction has become free",
        mini="the crossing traffic is gone",
    ),
    (Cause.MERGING_TRAFFIC, Action.PRESENT): say(
        "{object} is merging{from_side} | to let {object} merge{from_side}",
        val="{object} joins its lane{from_side}",
        heldout="{object} comes in where the lanes meet{from_side}",
        mini="{object} merges{from_side}",
    ),
    (Cause.PEDESTRIAN, Action.STEPPING_OUT): say(
        "{object} is stepping out from between parked cars{on_side} | "
        "{object} is walking out between parked cars{on_side}",
        val="{object} comes out from behind a parked car{on_side}",
        heldout="{object} appears between the parked cars{on_side}",
        mini="{object} steps onto the road between parked cars{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.ON_CROSSING): say(
        "{object} is on the crosswalk{on_side} | {object} is using the pedestrian crossing{on_side}",
        val="{object} is walking over the zebra crossing{on_side}",
        heldout="{object} has set foot on the marked crossing{on_side}",
        mini="{object} uses the crosswalk{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.CROSSING): say(
        "{object} is crossing the street{from_side} | {object} is crossing the road{from_side}",
        val="{object} is walking across its way{from_side}",
        heldout="{object} goes over the carriageway{from_side}",
        mini="{object} crosses{from_side}",
    ),
    (Cause.PEDESTRIAN, Action.WAITING): say(
        "{object} is waiting to cross{on_side} | {object} wants to cross the street{on_side}",
        val="{object} stands ready to cross{on_side}",
        heldout="{object} looks for a chance to cross{on_side}",
        mini="{object} waits at the kerb{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.ON_ROAD): say(
        "{object} is on the road{on_side} | {object} is walking on the road{on_side}",
        val="{object} walks in the lane{on_side}",
        heldout="{object} is in the roadway{on_side}",
        mini="{object} is on the street{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.NEAR): say(
        "{object} is walking close to the road{on_side} | {object} might step onto the road{on_side}",
        val="{object} walks along the kerb{on_side}",
        heldout="{object} comes near the carriageway{on_side}",
        mini="{object} is close to its lane{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.CLEARED): say(
        "the pedestrian has left its way | the pedestrian has passed",
        val="the pedestrian is out of the way",
        heldout="the person on foot has got clear of its path",
        mini="no pedestrian is in its way now",
    ),
    (Cause.CYCLIST, Action.CROSSING): say(
        "{object} is crossing the street{from_side} on a bike | {object} is riding across its way{from_side}",
        val="{object} cycles over the road{from_side}",
        heldout="{object} rolls across the carriageway{from_side}",
        mini="{object} rides across{from_side}",
    ),
    (Cause.CYCLIST, Action.AHEAD): say(
        "{object} is riding ahead{on_side} | it is driving behind {object}{on_side}",
        val="{object} pedals in front of it{on_side}",
        heldout="{object} takes up the lane before it{on_side}",
        mini="{object} rides ahead{on_side}",
    ),
    (Cause.CYCLIST, Action.CLEARED): say(
        "the cyclist has left its way | the cyclist has passed",
        val="the cyclist is out of the way",
        heldout="the rider has got clear of its path",
        mini="the cyclist is gone",
    ),
    (Cause.WORKS, Action.PRESENT): say(
        "there are road works ahead | the lane is narrowed by road works | its lane is blocked by {plural}",
        val="a work zone takes up part of the road",
        heldout="construction leaves little room on the road",
        mini="works narrow the road",
    ),
    (Cause.OBSTACLE, Action.PRESENT): say(
        "{object} is blocking its way | {object} is in its way",
        val="{object} obstructs the lane",
        heldout="{object} leaves no room to go on",
        mini="{object} is an obstacle",
    ),
    (Cause.ROUTE_END, Action.AHEAD): say(
        "its destination is near | it is close to the end of its route",
        val="its trip ends soon",
        heldout="where it was going comes into reach",
        mini="it has nearly arrived",
    ),
    (Cause.ROUTE_END, Action.PRESENT): say(
        "it has reached its destination | it is at the end of its route",
        val="its trip ends here",
        heldout="this is where it was going",
        mini="it has arrived",
    ),
}

#: Reasons for leaving the middle of the lane.
LATERAL_REASONS: dict[ReasonKey, Alternatives] = {
    (Cause.FREE_ROAD, Action.PRESENT): say(
        "to follow its route | to get into the lane of its route",
        val="to be in the right place for its route",
        heldout="to line up for the way it has to go",
        mini="to stay on its route",
    ),
    (Cause.STOPPED_VEHICLE, Action.PASS): say(
        "to pass {object}{on_side} that stands in the way | to get past {object} standing{on_side}",
        val="to go around {object} at rest{on_side}",
        heldout="to clear {object} that does not move{on_side}",
        mini="to pass {object} standing{on_side}",
    ),
    (Cause.STOPPED_VEHICLE, Action.PARKED): say(
        "to avoid {object} parked{on_side} | to pass {object} parked{on_side}",
        val="to go around {object} parked{on_side}",
        heldout="to keep clear of {object} left parked{on_side}",
        mini="to give room to {object} parked{on_side}",
    ),
    (Cause.BUS_AT_STOP, Action.PASS): say(
        "to pass {object} at the bus stop{on_side} | to get past {object} at its stop{on_side}",
        val="to go around {object} that waits at its stop{on_side}",
        heldout="to clear {object} that holds at a stop of its line{on_side}",
        mini="to pass {object} at its stop{on_side}",
    ),
    (Cause.WORKS, Action.PASS): say(
        "to get past the road works{on_side} | to avoid the road works{on_side}",
        val="to go around the work zone{on_side}",
        heldout="to clear the construction site{on_side}",
        mini="to pass the works{on_side}",
    ),
    (Cause.OBSTACLE, Action.PASS): say(
        "to avoid {object}{on_side} in the lane | to get past {object} in the way{on_side}",
        val="to go around {object} in its path{on_side}",
        heldout="to clear {object} that blocks the way{on_side}",
        mini="to pass {object} in the way{on_side}",
    ),
    (Cause.CYCLIST, Action.PASS): say(
        "to overtake {object} riding{on_side} | to leave room for {object} riding{on_side}",
        val="to go around {object} on a bike{on_side}",
        heldout="to keep a safe gap to {object} pedalling{on_side}",
        mini="to pass {object} riding{on_side}",
    ),
    (Cause.PEDESTRIAN, Action.PASS): say(
        "to leave room for {object} on foot{on_side} | to keep away from {object} on foot{on_side}",
        val="to go around {object} on foot{on_side}",
        heldout="to keep a safe gap to {object} walking{on_side}",
        mini="to pass {object} walking{on_side}",
    ),
    (Cause.LEAD_VEHICLE, Action.PASS): say(
        "to overtake {object} ahead | to pass {object} driving ahead",
        val="to go around {object} that is slower",
        heldout="to get ahead of {object}",
        mini="to pass {object} that is slow",
    ),
    (None, Action.PRESENT): say(
        "to gain room | to keep clear of the side",
        val="to have more room",
        heldout="to leave itself more space",
        mini="to make room",
    ),
}
