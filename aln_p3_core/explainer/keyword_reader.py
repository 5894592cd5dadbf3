"""Reads free text by keywords: other wording than the world's, real annotations, a language model's slips.

It knows denials ("is not turning", "no pedestrian", "without slowing down") and intentions ("is about to turn left",
which is no turn yet). Where a word may mean two things it keeps both, and either will do. What it does not know it
leaves out: a text that is not understood states nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aln_p3_core.explainer import keyword_words as words
from aln_p3_core.world.language.stated import Action, NamedObject, Pace, Reason, Side, Where
from aln_p3_core.world.planners.planner import Cause, LateralManeuver, Maneuver

_REPLACED = (
    (r"n['’]t\b", " not"),
    (r"['’]s\b", " is"),
    (r"can not\b", "cannot"),
    (r"[\"“”()\[\]]", " "),
    (r"\b(?:narration|reasoning):", " "),
    (r"-", " "),
    # A word that also names a side, or a thing that also names another.
    (
        r"(?<!turn )(?<!turns )(?<!turning )(?<!the )(?<!its )\bright "
        r"(?=behind|ahead|now|away|before|after|in front)",
        "just ",
    ),
    (r"\bright of way\b", "priority"),
    (r"\bleft (?=parked|its way|the way|the road|it |at the kerb)", "gone "),
    (r"\b(?:has|have) left\b", "has gone"),
    (r"\b(?:pedestrian|zebra|marked|foot) crossings?\b|\bcross walks?\b", "crosswalk"),
    (r"\bperson on foot\b", "pedestrian"),
    (
        r"\b(?:at )?(?:a |the |its )?bus stops?\b|\b(?:at|holds at|waiting at) (?:its|a|the) stop(?: of its line)?\b",
        "at a halte",
    ),
    (r"\b(between (?:the )?|behind an? )parked cars?\b", r"\1parked ones"),
)
_PRECEDENCE = (
    (Maneuver.STOP, Maneuver.DECELERATE),
    (Maneuver.START, Maneuver.ACCELERATE),
    (Maneuver.WAIT, Maneuver.STOP),
    (Maneuver.WAIT, Maneuver.DECELERATE),
)
_CLAUSES = re.compile(r"\s*(?:[,;.:!]|\band\b|\bthen\b|\bbut\b|\bwhile\b)\s*")
_REASON_CLAUSES = re.compile(
    r"\s*(?:[;.:!]|,(?: and)?|\band\b(?= (?:because|since|as|to|the|a|an|there|"
    r"it)\b)|\bbut\b)\s*"
)
_EGO_SUBJECT = re.compile(
    r"^(?:(?:because|since|as|so that|due to|for) )?(?:the ego(?: car| vehicle)?|"
    r"the car|the vehicle|it|we) "
)
_OTHER = re.compile(r"\b(?:ahead|in front|before it|lead\w*|preceding)\b")
_TURNS = {"left": LateralManeuver.TURN_LEFT, "right": LateralManeuver.TURN_RIGHT}
_CHANGES = {"left": LateralManeuver.CHANGE_LEFT, "right": LateralManeuver.CHANGE_RIGHT}
_NUDGES = {"left": LateralManeuver.NUDGE_LEFT, "right": LateralManeuver.NUDGE_RIGHT}


@dataclass(frozen=True, slots=True)
class WordedNarration:
    """What a text says that the car does.

    Attributes:
        speeds: of the speed; with several, any of them may be meant. Empty where nothing is said.
        laterals: of the direction, alike; KEEP_LANE only where it is said.
        pace: how fast a steady drive is.
        moves: it only says that the car moves.
        where: beside what.
        leader: who is ahead, where `where` is BEHIND.
    """

    speeds: tuple[Maneuver, ...] = ()
    laterals: tuple[LateralManeuver, ...] = ()
    pace: Pace | None = None
    moves: bool = False
    where: Where = Where.NOWHERE
    leader: NamedObject | None = None


def simplified(text: str) -> str:
    """Small letters, one space, no apostrophes, ambiguous phrases replaced."""
    plain = text.lower().strip().removesuffix(".")
    for expression, replacement in _REPLACED:
        plain = re.sub(expression, replacement, " ".join(plain.split()))
    # A language model may stutter.
    return re.sub(r"\b(\w+)(?: \1\b)+", r"\1", " ".join(plain.split()))


def read_narration(text: str) -> WordedNarration:
    """What the words of a narration say; see the module."""
    plain = simplified(text)
    clauses = [clause for clause in _CLAUSES.split(plain) if clause]
    speeds: list[Maneuver] = []
    laterals: list[LateralManeuver] = []
    where = Where.NOWHERE
    moves = False
    for clause in clauses:
        own_speeds, rest = _speeds(_before_other(clause))
        speeds += own_speeds
        own_laterals, bend = _laterals(_before_other(clause))
        laterals += own_laterals
        where = bend if bend is not Where.NOWHERE else where
        match = words.MOVES.search(rest)
        moves = moves or (
            match is not None and not _denied(rest, match) and not words.INTENT.search(rest[: match.start()])
        )
    steady = all(speed is Maneuver.KEEP_SPEED for speed in speeds)
    pace = None if not steady else next((pace for pace, rule in words.PACE_RULES if rule.search(plain)), None)
    leader = _leader(plain)
    if leader is not None:
        where = Where.BEHIND
    elif where is Where.NOWHERE and words.AT_CROSSING.search(plain):
        where = Where.AT_CROSSING
    elif where is Where.NOWHERE and words.AT_INTERSECTION.search(plain):
        where = Where.AT_INTERSECTION
    return WordedNarration(
        speeds=_settled(speeds) if speeds else ((Maneuver.KEEP_SPEED,) if pace is not None else ()),
        laterals=tuple(dict.fromkeys(laterals)),
        pace=pace,
        moves=moves and not speeds and pace is None,
        where=where,
        leader=leader,
    )


def read_reasons(text: str) -> tuple[Reason, ...]:
    """The reasons that the words of a reasoning give, without repeats; empty where none is understood."""
    found = []
    for clause in _REASON_CLAUSES.split(simplified(text)):
        reason = _reason(clause) if clause else None
        if reason is not None:
            found.append(reason)
    return tuple(dict.fromkeys(found))


def _speeds(clause: str) -> tuple[list[Maneuver], str]:
    """Speeds that a clause states, and the clause without the words that stated them."""
    found: list[Maneuver] = []
    for maneuver, rule in words.SPEED_RULES:
        for match in rule.finditer(clause):
            if not _denied(clause, match) and not words.INTENT.search(clause[: match.start()]):
                found.append(maneuver)
        clause = rule.sub("#", clause)
    stopped = words.STOPPED.search(clause)
    if stopped is not None and not found and not _denied(clause, stopped):
        found += [Maneuver.WAIT, Maneuver.STOP]
    return found, clause


def _laterals(clause: str) -> tuple[list[LateralManeuver], Where]:
    curve = words.CURVE.search(clause)
    if curve is not None and not _denied(clause, curve):
        return [], Where.CURVE_LEFT if _side(curve) == "left" else Where.CURVE_RIGHT
    for rule, meanings in ((words.NUDGE, _NUDGES), (words.CHANGE, _CHANGES), (words.TURN, _TURNS)):
        if rule is words.NUDGE and words.CHANGE.search(clause) and "slightly" not in clause:
            continue
        match = rule.search(clause)
        if match is None:
            continue
        if _denied(clause, match) or words.INTENT.search(clause[: match.start()]):
            return [], Where.NOWHERE
        side = _side(match)
        if rule is words.NUDGE and "turn" in clause:
            return [_NUDGES[side], _TURNS[side]], Where.NOWHERE
        return ([meanings[side]] if side else list(meanings.values())), Where.NOWHERE
    straight = words.STRAIGHT.search(clause)
    keeps = straight is not None and not _denied(clause, straight)
    return ([LateralManeuver.KEEP_LANE] if keeps else []), Where.NOWHERE


def _settled(speeds: list[Maneuver]) -> tuple[Maneuver, ...]:
    """Who slows down to a stop stops; who starts and speeds up starts."""
    said = list(dict.fromkeys(speeds))
    if set(said) == {Maneuver.WAIT, Maneuver.STOP}:
        return tuple(said)
    for kept, dropped in _PRECEDENCE:
        if kept in said and dropped in said:
            said.remove(dropped)
    return tuple(said)


def _before_other(clause: str) -> str:
    """A clause without what it tells of somebody ahead ("behind a car that stops")."""
    match = words.BEHIND.search(clause)
    return clause if match is None else clause[: match.start()]


def _leader(plain: str) -> NamedObject | None:
    match = words.BEHIND.search(plain)
    named = None if match is None else words.NOUN.search(plain, match.end())
    return None if named is None else NamedObject(_noun(named))


def _denied(clause: str, match: re.Match[str]) -> bool:
    return words.NEGATION.search(clause[: match.start()]) is not None


def _side(match: re.Match[str]) -> str:
    return next((value for name, value in match.groupdict().items() if name.startswith("side") and value), "")


def _noun(match: re.Match[str]) -> str:
    return next(words.NOUNS[int(name[1:])][0] for name, value in match.groupdict().items() if value)


def _reason(clause: str) -> Reason | None:
    """The first thing that a clause gives as a reason."""
    side_match = re.search(r"\b(?:on|from|to) (?:the|its) (left|right)\b", clause)
    side = Side(side_match[1]) if side_match else Side.NONE
    light = words.LIGHT.search(clause)
    if light is not None:
        return Reason(_light(light, clause))
    if words.LIMIT.search(clause):
        return Reason(Cause.SPEED_LIMIT)
    named = words.NOUN.search(_EGO_SUBJECT.sub("", clause) if not _OTHER.search(clause) else clause)
    if named is None and words.STOP_SIGN.search(clause):
        return Reason(None)
    if words.ARRIVED.search(clause):
        return Reason(Cause.ROUTE_END)
    if words.CLEARED.search(clause):
        return Reason(_cleared(clause), Action.CLEARED)
    if words.FREE.search(clause):
        return Reason(Cause.FREE_ROAD)
    route = words.ROUTE.search(clause)
    if route is not None:
        return Reason(Cause.FREE_ROAD, Action.TURN, side=Side(_side(route)))
    if words.WORKS.search(clause):
        passes = re.search(r"\b(?:get past|avoid|around|pass|clear the)\b", clause)
        return Reason(Cause.WORKS, Action.PASS if passes else Action.PRESENT, side=side if passes else Side.NONE)
    bend = _bend(clause)
    if bend is not None and (named is None or words.CURVY.search(clause)):
        return bend
    if words.TO_FOLLOW_ROUTE.search(clause):
        return Reason(Cause.FREE_ROAD)
    if named is not None:
        return _somebody(clause, NamedObject(_noun(named)), side)
    return Reason(None) if words.UNTOLD.search(clause) else None


def _light(match: re.Match[str], clause: str) -> Cause:
    color = match["color"] or match["color_after"] or ("green" if words.LETS_PASS.search(clause) else "red")
    return {"red": Cause.RED_LIGHT, "green": Cause.GREEN_LIGHT}.get(color, Cause.YELLOW_LIGHT)


def _cleared(clause: str) -> Cause:
    named = words.NOUN.search(clause)
    noun = _noun(named) if named is not None else ""
    if noun in words.ON_FOOT:
        return Cause.PEDESTRIAN
    if noun in words.ON_BIKE:
        return Cause.CYCLIST
    if re.search(r"\boncoming\b|\btowards\b|\bother direction\b", clause):
        return Cause.ONCOMING_TRAFFIC
    if re.search(r"\bcross\w*|\bjunction\b|\bintersection\b", clause):
        return Cause.CROSS_TRAFFIC
    return Cause.LEAD_VEHICLE


def _bend(clause: str) -> Reason | None:
    curve, turn = words.CURVY.search(clause), words.TURNY.search(clause)
    side = re.search(r"\b(left|right)\b", clause)
    if curve is None and (turn is None or side is None):
        return None
    action = (
        Action.BEND if curve is not None else (Action.TURN_AHEAD if words.TURN_SOON.search(clause) else Action.TURN)
    )
    return Reason(Cause.CURVE, action, side=Side(side[1]) if side else Side.NONE)


def _somebody(clause: str, named: NamedObject, side: Side) -> Reason:
    passes = re.search(
        (
            r"\b(?:go around|get past|to pass|overtake|avoid|leave room|keep away|safe gap|"
            r"to clear|give room)\b"
        ),
        clause,
    )
    if named.noun in words.STATIC:
        return Reason(Cause.OBSTACLE, Action.PASS if passes else Action.PRESENT, named, side)
    if named.noun in words.ON_FOOT:
        return Reason(Cause.PEDESTRIAN, Action.PASS if passes else _on_foot(clause), named, side)
    if named.noun in words.ON_BIKE and not re.search(
        r"\bparked\b|\bstand\w*\b|\bstopped\b|\boncoming\b|\btowards\b", clause
    ):
        across = re.search(r"\bacross\b|\bcross\w*|\bover the road\b", clause)
        return Reason(
            Cause.CYCLIST, Action.PASS if passes else (Action.CROSSING if across else Action.AHEAD), named, side
        )
    if (
        re.search(r"\b(?:obstruct|obstacle|in its way|blocking its way|no room to go)", clause)
        and "parked" not in clause
    ):
        return Reason(Cause.OBSTACLE, Action.PRESENT, named)
    for cause, action, rule in words.VEHICLE_RULES:
        if rule.search(clause):
            sided = cause in (Cause.CUT_IN, Cause.MERGING_TRAFFIC, Cause.CROSS_TRAFFIC) or passes
            return Reason(cause, action, named, side if sided else Side.NONE)
    return Reason(Cause.LEAD_VEHICLE, Action.AHEAD, named)


def _on_foot(clause: str) -> Action:
    if re.search(r"\bbetween\b|\bbehind a parked\b|\bfrom behind\b", clause):
        return Action.STEPPING_OUT
    if "crosswalk" in clause:
        return Action.ON_CROSSING
    if re.search(
        (
            r"\b(?:wait\w*|ready|wants?|looks?|about) (?:\w+ ){0,3}(?:to )?cross\b|"
            r"\bat the (?:kerb|curb)\b"
        ),
        clause,
    ):
        return Action.WAITING
    if re.search(r"\bcross\w*|\bacross\b|\bover the (?:road|street|carriageway)\b", clause):
        return Action.CROSSING
    if re.search(r"\b(?:on|in) the (?:road|street|lane|roadway)\b", clause) and "close" not in clause:
        return Action.ON_ROAD
    return Action.NEAR
