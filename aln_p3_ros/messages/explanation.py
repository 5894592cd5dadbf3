"""From words to the `Explanation` message, and from the message to lines that are shown."""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3.msg import Explanation
from std_msgs.msg import Header

from aln_p3_core.explainer.speaking import Spoken
from aln_p3_ros.messages.stamps import to_duration

_CONSISTENCY = {True: Explanation.CONSISTENT, False: Explanation.CONTRADICTS, None: Explanation.NOT_CHECKABLE}


def explanation_message(
    spoken: Spoken,
    header: Header,
    *,
    plan_id: str,
    model_id: str,
    question: str = "",
    warnings: Sequence[str] = (),
) -> Explanation:
    """The message for words about a plan; its age is the publisher's to fill in.

    Args:
        header: of the plan.
        question: what was asked; "" for an explanation.
        warnings: one line each.
    """
    verdict = spoken.consistency
    return Explanation(
        header=header,
        plan_id=plan_id,
        kind=Explanation.KIND_ANSWER if question else Explanation.KIND_EXPLANATION,
        question=question,
        narration=spoken.narration,
        reasoning=spoken.reasoning,
        text=spoken.text,
        caption_query_ids=[caption.query_id for caption in spoken.captions],
        captions=[caption.text for caption in spoken.captions],
        consistency=_CONSISTENCY[None if verdict is None else verdict.consistent],
        contradictions=[] if verdict is None else list(verdict.contradictions),
        model_id=model_id,
        latency=to_duration(round(spoken.seconds * 1e9)),
        truncated=spoken.truncated,
        warnings=list(warnings),
    )


def explanation_lines(message: Explanation) -> list[str]:
    """What a viewer shows of an explanation, a line each: the words, then what they contradict, then warnings."""
    if message.kind == Explanation.KIND_ANSWER:
        words = [f"Question: {message.question}", f"Answer: {message.text}"]
    else:
        words = [message.narration, message.reasoning] if message.narration or message.reasoning else [message.text]
        words += [f"- {caption}" for caption in message.captions]
    words += [f"contradicts: {line}" for line in message.contradictions]
    words += [f"! {warning}" for warning in message.warnings]
    # A model that is not trained says line feeds too.
    return [" ".join(line.split()) for line in words if line]


def contradicts(message: Explanation) -> bool:
    """Whether the words contradict the plan or the objects: shown in red."""
    return bool(message.consistency == Explanation.CONTRADICTS)
