"""What the consistency measure finds: one `Finding` for each thing that a text states, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aln_p3_core.world.planners.planner import Cause


class Kind(Enum):
    """What a finding is about."""

    DIRECTION = "direction"
    SPEED = "speed"
    CAUSE = "cause"
    PLACE = "place"


class Verdict(Enum):
    """How it compares.

    CONSISTENT: the plan does it, or the object is there. CONTRADICTS: the plan clearly does something else, or no such
    object is there. NOT_STATED: the text says nothing about it that can be read. OMITTED: nor does it, though the plan
    does something marked. NOT_CHECKABLE: stated, but the plan and the detections cannot tell (a traffic light, a turn
    that comes after the plan's end).
    """

    CONSISTENT = "consistent"
    CONTRADICTS = "contradicts"
    NOT_STATED = "not stated"
    OMITTED = "omitted"
    NOT_CHECKABLE = "not checkable"


#: Findings that count as an answer to "is it consistent".
CHECKED = (Verdict.CONSISTENT, Verdict.CONTRADICTS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a text states, or does not.

    Attributes:
        kind, verdict: see there.
        stated: "it turns left", "a truck is ahead"; "" where nothing is stated.
        found: "the plan turns right", "no truck is detected there".
        cause: of a CAUSE finding, where the text names one.
        rows: rows of the detected agents that fit, the nearest along the plan first.
    """

    kind: Kind
    verdict: Verdict
    stated: str = ""
    found: str = ""
    cause: Cause | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.verdict is Verdict.CONTRADICTS:
            return f"says {self.stated}, {self.found}"
        if self.verdict is Verdict.OMITTED:
            return f"does not say that {self.found}"
        return f"{self.kind.value} {self.verdict.value}" + (f": {self.stated}" if self.stated else "")


@dataclass(frozen=True, slots=True)
class Consistency:
    """All findings of one explanation.

    Attributes:
        statements: DIRECTION and SPEED always have one each at least; CAUSE one for each reason; PLACE where one is
            said.
        consistent: whether nothing that could be checked is contradicted; None where nothing could be.
        contradictions: short sentences, such as "says it turns left, the plan turns right".
    """

    statements: tuple[Finding, ...]
    consistent: bool | None
    contradictions: tuple[str, ...]

    @classmethod
    def of(cls, findings: tuple[Finding, ...]) -> Consistency:
        """From the findings."""
        checked = [finding for finding in findings if finding.verdict in CHECKED]
        against = tuple(str(f) for f in findings if f.verdict is Verdict.CONTRADICTS)
        return cls(findings, not against if checked else None, tuple(dict.fromkeys(against)))

    def of_kind(self, kind: Kind) -> tuple[Finding, ...]:
        """Findings of one kind."""
        return tuple(finding for finding in self.statements if finding.kind is kind)

    @property
    def omissions(self) -> tuple[str, ...]:
        """Short sentences about what the plan does and the text leaves out."""
        return tuple(str(finding) for finding in self.statements if finding.verdict is Verdict.OMITTED)
