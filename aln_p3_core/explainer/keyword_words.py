"""Words by which free text is read: what the car does, why, and the names of things (`keyword_reader` uses them).

Expressions see text as `keyword_reader.simplified` leaves it: small letters, no apostrophes, some phrases replaced.
"""

from __future__ import annotations

import re

from aln_p3_core.world.language.stated import Action, Pace
from aln_p3_core.world.planners.planner import Cause, Maneuver

SIDE = r"(?P<side>left|right)"
#: The same group under other names: a name may stand in an expression only once.
SIDE_AFTER, SIDE_END, SIDE_FIRST, SIDE_LAST, SIDE_MERGE = (
    f"(?P<side_{name}>left|right)" for name in ("after", "end", "first", "last", "merge")
)
_TO_A_STOP = r"(?:to|until|into) (?:an? (?:full |complete |gradual |brief )?(?:stop|halt|standstill)|rest|it stands)\b"
_GOING = r"(?:moving|to move|driving|to drive|rolling|to roll|going|to go|off|forward|up again|again|from)"

#: In order: what an earlier one has read, a later one does not read again.
SPEED_RULES: tuple[tuple[Maneuver, re.Pattern[str]], ...] = tuple(
    (maneuver, re.compile(expression))
    for maneuver, expression in (
        (Maneuver.STOP, rf"\b\w+ (?:\w+ )?{_TO_A_STOP}"),
        (Maneuver.WAIT, r"\b(?:not|without) (?:be |been )?(?:mov\w+|driv\w+|going)\b"),
        (
            Maneuver.WAIT,
            r"\b(?:remain|stay|sit|keep)\w* (?:\w+ )?(?:stopped|stationary|still|in place|"
            r"put|at rest|waiting|"
            r"where it is|parked|standing|at a (?:stop|standstill|halt)|motionless)\b",
        ),
        (
            Maneuver.WAIT,
            r"\b(?:is|are|was|still|keeps) (?:\w+ )?(?:stationary|parked|idl\w+|motionless|"
            r"at rest|held up)\b",
        ),
        (Maneuver.WAIT, r"\b(?:is|are|was) (?:\w+ )?at an? (?:\w+ )?(?:stop|standstill|halt)\b"),
        (Maneuver.WAIT, r"\b(?:stands|standing)\b(?: still)?|\bwait(?:s|ing)?\b"),
        (Maneuver.START, rf"\b(?:start|begin|resum|proceed)\w* (?:\w+ly )?{_GOING}|\bstarts$"),
        (
            Maneuver.START,
            r"\b(?:mov|set|pull|tak|driv)\w* (?:off|away)\b|\bget\w* going\b|\bresum\w+\b|"
            r"\bpulls? out\b",
        ),
        (
            Maneuver.ACCELERATE,
            r"\baccelerat\w+|\bspeed\w* (?:back )?up\b|\b(?:pick|gain|gather|increas|"
            r"rais)\w+ (?:up )?(?:its |the |some )?"
            r"(?:speed|pace|velocity)\b|\b(?:becom|gett?|go|driv|"
            r"mov)\w* (?:\w+ly )?faster\b|\bgets faster\b",
        ),
        (
            Maneuver.DECELERATE,
            r"\bdecelerat\w+|\bslow(?:s|ed|ing)?\b(?: down)?(?! (?:speed|pace|moving|car|"
            r"vehicle|truck|bus|traffic))|"
            r"\bbrak(?:e|es|ed|ing)\b|\b(?:reduc|lower|los|decreas)\w+ (?:its |"
            r"the )?(?:speed|pace|velocity)\b|"
            r"\b(?:becom|gett?)\w* slower\b|\beas(?:es|ing) off\b",
        ),
        (Maneuver.STOP, r"\bstop(?:s|ping)?\b|\bhalt(?:s|ing)?\b"),
        (
            Maneuver.KEEP_SPEED,
            r"\b(?:steady|constant|even|uniform|unchang\w+|same|current|"
            r"stable) (?:\w+ )?(?:speed|pace|velocity)\b",
        ),
        (Maneuver.KEEP_SPEED, r"\b(?:keep|maintain|hold)\w* (?:up )?(?:its|the|a|an) (?:speed|pace|velocity)\b"),
        (Maneuver.KEEP_SPEED, r"\bwithout changing (?:its )?speed\b|\bcruis\w+|\bsteadily\b"),
    )
)
#: "stopped" says that it stands, or that it has come to stand: either will do.
STOPPED = re.compile(r"\b(?:stopped|halted)\b")
PACE_RULES: tuple[tuple[Pace, re.Pattern[str]], ...] = (
    (
        Pace.SLOW,
        re.compile(
            r"\bslowly\b|\b(?:low|slow|slower|walking|cycling) (?:speed|pace)\b|"
            r"\bcre+p\w*\b|\bcrawl\w*\b|\bunhurried\w*|\binch\w+"
        ),
    ),
    (
        Pace.MODERATE,
        re.compile(
            r"\b(?:moderate|medium|average|modest|ordinary|normal) (?:speed|pace)\b|"
            r"\bmoderately\b"
        ),
    ),
    (
        Pace.FAST,
        re.compile(
            r"\b(?:high|fast|brisk|quick) (?:speed|pace)\b|\bfast\b|\bquickly\b|\bswiftly\b|"
            r"\bbriskly\b"
        ),
    ),
)
MOVES = re.compile(
    r"\b(?:driv|mov|travel|proceed|continu|head|go|roll|advanc|cross|pass|"
    r"follow)(?:e?s|ing|e)?\b"
)

#: Said before a verb of motion, it is not (yet) done.
INTENT = re.compile(
    r"\b(?:about|going|prepar\w+|ready|wait\w*|want\w*|intend\w*|in order|plan\w*|"
    r"need\w*|order|signal\w*|has|have) to"
    r"(?: \w+){0,3} $|\b(?:will|before|for) (?:\w+ ){0,2}$"
)
NEGATION = re.compile(
    r"\b(?:not|no|never|without|nor|neither|cannot|instead of|rather than|"
    r"unable to)(?: \w+){0,2} $"
)

CURVE = re.compile(
    rf"\b{SIDE}(?: hand)? (?:curve|bend)\b|\b(?:curves?|bends?|winds?|road swings|"
    rf"curving|bending)\b(?: \w+){{0,4}}? {SIDE_AFTER}\b"
)
TO_SIDE = r"(?:to |on |into |towards? )?(?:the |its )?"
CHANGE = re.compile(
    r"\b(?:chang|switch|mov|shift|merg|go|gets?|tak|cross|cut|"
    rf"pull)\w*(?: \w+){{0,4}}? {SIDE}(?: hand)?(?: \w+)? lane\b|"
    r"\b(?:chang|switch|mov|shift|"
    rf"go)\w*(?: \w+){{0,2}}? lanes?(?: \w+)?(?: {TO_SIDE}{SIDE_AFTER})?\b|"
    r"\b(?:go|shift|mov|merg|switch|"
    rf"chang)\w*(?: \w+){{0,3}} lane {TO_SIDE}{SIDE_LAST}\b|"
    rf"\b{SIDE_FIRST} lane change\b|"
    rf"\blane change(?: {TO_SIDE}{SIDE_END})?\b|\bmerg(?:es|"
    rf"ing)\b(?: {TO_SIDE}{SIDE_MERGE})?"
)
NUDGE = re.compile(
    rf"\b(?:slightly|a little|a bit|somewhat|more)\b(?: \w+){{0,2}}? {SIDE}\b|"
    r"\b(?:swerv|edg|nudg|veer|drift|shift|bear|draw|steer|lean|give|"
    rf"pull)\w*(?: \w+){{0,2}}? {TO_SIDE}{SIDE_AFTER}\b"
    rf"(?! (?:hand )?(?:turn|corner))"
)
TURN = re.compile(
    r"\b(?:turn(?:s|ing|ed)?|corners?|swings|rounds|steers|"
    rf"goes)\b(?: (?!lane)\w+){{0,5}}? {SIDE}\b(?! (?:lane|curve|bend))|"
    rf"\b{SIDE_FIRST}(?: hand)? (?:turn|corner)\b"
)
#: Words for going on as the road does.
STRAIGHT = re.compile(
    r"\bstraight\b|\b(?:keep|stay|remain|continu)\w* (?:\w+ ){0,2}(?:its|the|"
    r"this) (?:current )?lane\b"
)

AT_CROSSING = re.compile(r"\bcrosswalk\b|\bfootpath over\b")
AT_INTERSECTION = re.compile(r"\bintersection\b|\bjunction\b|\broads meet\b|\bcrossroads?\b")
BEHIND = re.compile(
    r"\b(?:behind|after|following|follows|trailing|back of)\b|"
    r"\bwith (?=an? (?:\w+ ){1,3}(?:in front|ahead))"
)

#: Noun as `consistency` knows it, and the words for it; longer names first.
NOUNS: tuple[tuple[str, str], ...] = (
    ("construction vehicle", r"construction (?:vehicle|machine)s?|excavators?|bulldozers?"),
    ("traffic cone", r"(?:traffic )?cones?"),
    ("barrier", r"barriers?|barricades?"),
    ("trailer", r"trailers?"),
    ("bus", r"bus|buses|coach"),
    ("truck", r"trucks?|lorry|lorries|semi"),
    ("van", r"vans?|minivans?"),
    ("motorcyclist", r"motorcyclists?"),
    ("motorcycle", r"motorcycles?|motorbikes?|scooters?|moped"),
    ("cyclist", r"cyclists?|bicyclists?|bikers?|rider"),
    ("bicycle", r"bicycles?|bikes?"),
    ("child", r"child|children|kids?"),
    (
        "pedestrian",
        r"pedestrians?|person|people|man|woman|men|women|workers?|someone on foot|"
        r"jaywalkers?",
    ),
    ("car", r"cars?|sedans?|suvs?|taxis?|cab|pickup"),
    ("vehicle", r"vehicles?|traffic|queue|congestion"),
)
NOUN = re.compile("|".join(rf"(?P<n{i}>\b(?:{words})\b)" for i, (_, words) in enumerate(NOUNS)))
ON_FOOT = ("pedestrian", "child")
ON_BIKE = ("cyclist", "bicycle")
STATIC = ("traffic cone", "barrier")

LIGHT = re.compile(
    r"\b(?P<color>red|yellow|amber|orange|green)(?: traffic| stop)? (?:light|"
    r"signal)s?\b|"
    r"\b(?:traffic |stop )?(?:light|signal)s?\b(?: (?!car|van|bus|"
    r"truck)\w+){0,5}? (?P<color_after>red|yellow|amber|orange|green)\b|"
    r"\b(?:traffic|stop) (?:light|signal)s?\b"
)
LETS_PASS = re.compile(r"\blets\b|\ballows\b|\bgreen\b")
LIMIT = re.compile(r"\bspeed limit\b|\blimit\b|\b(?:may|can)(?: not)? go faster\b|\bby the rules\b")
ARRIVED = re.compile(
    r"\bdestination\b|\barriv\w+|\bend of (?:its|the) route\b|\btrip\b|"
    r"\bwhere it was going\b"
)
STOP_SIGN = re.compile(
    r"\bstop sign\b|\byield sign\b|\btoll\b|\bspeed ?bump\b|\bparking (?:lot|space|"
    r"spot)\b"
)
CLEARED = re.compile(
    r"\bno longer\b|\b(?:has|have) (?:left|passed|gone|cleared|crossed)\b|"
    r"\bout of (?:the|its) way\b|\bis gone\b|"
    r"\bany ?more\b|\b(?:moving|rolling|flowing) again\b|\bgot clear\b|"
    r"\bdissolves\b|\bgap in\b|\bnow clear\b|"
    r"\b(?:has|have) become free\b|\bin its way now\b|\btraffic in front moves\b|"
    r"\btraffic is (?:moving|flowing)\b|\btraffic (?:moves|flows)\b"
)
FREE = re.compile(
    r"\b(?:road|lane|way|path|street|route|front)\b(?: \w+){0,3}? (?:clear|free|"
    r"open|empty|unobstructed)\b|"
    r"\b(?:clear|free|open|empty) (?:road|path|way|lane|street)\b|\bnothing\b|"
    r"\bno one\b|\bnobody\b|\bnone\b|"
    r"\bno (?:\w+ ){0,2}?(?:cars?|vehicles?|traffic|pedestrians?|obstacles?|"
    r"obstructions?|people|hazards?)\b|"
    r"\bnot (?:\w+ )?(?:blocked|obstructed)\b|\btraffic is (?:clear|light)\b"
)
ROUTE = re.compile(
    rf"\b(?:route\b(?: \w+){{0,6}}?|way leads) {SIDE}\b|\b(?:has|"
    rf"have) to turn {SIDE_AFTER}\b"
)
TO_FOLLOW_ROUTE = re.compile(r"\b(?:its|the) route\b|\bits way to go\b|\bway it has to go\b")
TURN_SOON = re.compile(
    r"\b(?:going to|about to|will|near|next|soon|upcoming|approach\w*|comes|"
    r"wants to|prepar\w+)\b"
)
CURVY = re.compile(r"\bcurv\w*|\bbends?\b|\bwinds?\b|\bwinding\b")
TURNY = re.compile(r"\bturn\w*|\bcorner\b")
WORKS = re.compile(
    r"\broad ?works?\b|\bconstruction\b(?! (?:vehicle|machine))|\bwork zone\b|"
    r"\bworks\b|\bcones\b|\bbarriers\b"
)
UNTOLD = re.compile(
    r"\bcareful\w*|\bcare\b|\bcautious\w*|\bcaution\b|\bsafe(?: side)?\b|\broom\b|"
    r"\bspace\b|\bkeep clear of the side\b"
)

#: What a vehicle does that is the cause, the first that fits.
VEHICLE_RULES: tuple[tuple[Cause, Action, re.Pattern[str]], ...] = tuple(
    (cause, action, re.compile(expression))
    for cause, action, expression in (
        (Cause.BUS_AT_STOP, Action.PRESENT, r"\bhalte\b"),
        (
            Cause.ONCOMING_TRAFFIC,
            Action.PRESENT,
            r"\boncoming\b|\btowards? (?:it|us|the)\b|\bother (?:direction|way|side)\b|"
            r"\bopposite\b",
        ),
        (Cause.STOPPED_VEHICLE, Action.PARKED, r"\bparked\b|\bkerb\b|\bcurb\b"),
        (
            Cause.CUT_IN,
            Action.PRESENT,
            r"\bcut\w* in\b|\b(?:mov|chang|switch|com|turn|pull)\w* (?:\w+ )?into (?:its|"
            r"the|our) lane\b|\bsqueez\w+",
        ),
        (Cause.MERGING_TRAFFIC, Action.PRESENT, r"\bmerg\w+|\bjoins?\b|\blanes meet\b|\bpulls? out\b"),
        (
            Cause.CROSS_TRAFFIC,
            Action.PRESENT,
            r"\bcross\w*|\bpasses in front\b|\bpriority\b|\bfrom (?:the|its) (?:left|"
            r"right)\b|\bturning (?:left|right)\b",
        ),
        (
            Cause.STOPPED_VEHICLE,
            Action.PASS,
            r"\b(?:pass|past|around|overtake|clear)\b.*\b(?:stands?|standing|stopped|"
            r"at rest|not move)\b",
        ),
        (Cause.LEAD_VEHICLE, Action.PASS, r"\bovertak\w+|\b(?:to|get) pass?t?\b|\bgo around\b|\bget ahead of\b"),
        (
            Cause.STOPPED_VEHICLE,
            Action.AHEAD,
            r"\bstopp(?:ed|ing)\b|\bstop(?:s)?\b|\bstand(?:s|ing)?\b|\bat rest\b|"
            r"\bstationary\b|\bnot mov\w+|\bcome to rest\b|\bwait\w*\b|\bqueue\w*|\bstuck\b|"
            r"\bjam\b|\bcongest\w+|\bblock\w*",
        ),
        (
            Cause.LEAD_BRAKING,
            Action.PRESENT,
            r"\bbrak\w+|\bslow(?:s|ing|ed)?\b(?! car| vehicle)|\bloses speed\b|"
            r"\bgetting slower\b|\bdecelerat\w+",
        ),
        (
            Cause.LEAD_VEHICLE,
            Action.PULLING_AWAY,
            r"\bpull\w* away\b|\bfaster\b|\bgaining\b|\bmore room\b|\baccelerat\w+|"
            r"\bspeed\w* up\b",
        ),
        (
            Cause.LEAD_VEHICLE,
            Action.MOVING_OFF,
            r"\b(?:mov|driv)\w* (?:off|on|forward)\b|\bstart\w*|\bgot going\b|\bbegin\w*|"
            r"\b(?:is|are|has|have) (?:mov|go)\w+",
        ),
    )
)
