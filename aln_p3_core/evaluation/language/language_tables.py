"""Tables of the language chapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from aln_p3_core.evaluation.language.captions import PROTOCOLS, SCORES, CaptionScores
from aln_p3_core.evaluation.language.hint_ad import CommandAccuracy
from aln_p3_core.evaluation.language.nuscenes_qa import OVERALL
from aln_p3_core.evaluation.language.priors import Priors
from aln_p3_core.evaluation.language.scores import LanguageScores
from aln_p3_core.evaluation.report_blocks import Block, Cell, Table, number, percent, without_empty_columns
from aln_p3_core.explainer.consistency import Consistency, Kind, Verdict

_SCORE_COLUMNS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
_NO_JAVA = " METEOR is blank: there is no Java here (docs/evaluation_language.md)."

#: Scores by subject, then by use of the command.
Found = Mapping[str, Mapping[str, LanguageScores]]


def language_tables(
    found: Found,
    priors: Priors,
    other_consistency: Mapping[str, Mapping[str, Consistency]],
) -> list[Block]:
    """All tables that have anything in them.

    Args:
        found: scores. priors: rows to compare with. other_consistency: likewise, of texts that nobody said here.
    """
    tables = [
        _explanations(found, priors),
        _other_cuts(found),
        _captions(found),
        *_questions(found, priors),
        _commands(found),
        _online(found),
        _consistency(found, other_consistency),
    ]
    return [without_empty_columns(table) for table in tables if table.rows]


def row_name(label: str, scores: LanguageScores) -> str:
    """Such as "nano: command ground truth"."""
    return f"{label}: command {'withheld' if scores.command == 'none' else scores.command_source}"


def _explanations(found: Found, priors: Priors) -> Table:
    rows: list[tuple[Cell, ...]] = []
    strong: list[int] = []
    for label, by_command in found.items():
        for scores in by_command.values():
            if scores.explanations is None:
                continue
            for part, values in scores.explanations.parts.items():
                strong += [len(rows)] if scores.command == "given" else []
                interval = scores.interval(part)
                band = None if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
                rows.append((f"{row_name(label, scores)}, {part}", *_cells(values), band))
    for name, parts in priors.explanations.items():
        rows += [(f"{name}, {part}", *_cells(values), None) for part, values in parts.items()]
    return Table(
        ("texts", "number", *_SCORE_COLUMNS, "CIDEr, 95 %"),
        tuple(rows),
        "Driving explanations",
        f"Times 100. Protocol raw: {PROTOCOLS['raw']}; whole texts, and none is left out. Joined: narration and "
        "reasoning as one text. The last column holds 95 % of resamplings of scenes."
        + priors.texts.explanations.note
        + _java_note(found),
        frozenset(strong),
    )


def _other_cuts(found: Found) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label, by_command in found.items():
        for scores in by_command.values():
            others = scores.explanations.others if scores.explanations else {}
            rows += [(f"{row_name(label, scores)}, {name}", *_cells(values)) for name, values in others.items()]
    return Table(
        ("texts", "number", *_SCORE_COLUMNS),
        tuple(rows),
        "Driving explanations, cut in other ways",
        f"Times 100. ptb: {PROTOCOLS['ptb']}. As Hint-AD cuts it: up to the first period, and texts without the form "
        "are left out.",
    )


def _captions(found: Found) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label, by_command in found.items():
        for scores in by_command.values():
            for result in scores.captions:
                cells = (percent(result.scores[key], 1) for key in SCORES)
                rows.append((f"{label}, {result.name}", f"{result.kept} of {result.predictions}", *cells))
                if result.form == "3d" and result.unmultiplied is not None:
                    plain = result.unmultiplied
                    rows.append((f"{label}, fitting ones at {result.threshold:g} (3d)", *_cells(plain)))
    return Table(
        ("captions", "number", *_SCORE_COLUMNS),
        tuple(rows),
        "Captions of detected objects",
        f"Times 100. Protocol tod3cap_whitespace: {PROTOCOLS['tod3cap_whitespace']}. released: the sizes of boxes are "
        "compared, not their places, and boxes on both sides count within nuScenes' class ranges only, as the "
        "published code does; 3d: the boxes as they stand. Scores are multiplied by the share that fits; below them, "
        "without that. Only the described objects count: missed ones cost nothing. The published score divides by all "
        "detections of a frame, this one by those that were described, best score first (--language-captions; 0: all "
        "that the explainer reads).",
    )


def _questions(found: Found, priors: Priors) -> list[Table]:
    """By type and by hop, and by both at once."""
    named = {
        row_name(label, scores): scores.questions
        for label, by_command in found.items()
        for scores in by_command.values()
        if scores.questions is not None
    }
    if not named:
        return []
    strong = frozenset(range(len(named)))
    named |= priors.questions
    total = next(iter(named.values()))
    groups = sorted((g for g in total if "_" not in g), key=lambda group: (group != OVERALL, group[0] != "H"))
    both = [group for group in total if "_" in group]

    def table(titles: Mapping[str, str], heading: str, note: str) -> Table:
        columns = ("answers", *(f"{title} ({total[group].total})" for group, title in titles.items()))
        rows = tuple((name, *(percent(v.value, 1) if (v := values.get(g)) else None for g in titles))
                     for name, values in named.items())  # fmt: skip
        return Table(columns, rows, heading, note, strong)

    note = (
        "Per cent of exact answers; H0 and H1: without and with one hop, all types; in brackets the questions. The "
        "priors answer without a look: the most frequent answer in the training questions, by type and hops, or by the "
        "very words of the question." + priors.texts.questions.note
    )
    return [
        table({g: "all" if g == OVERALL else g for g in groups}, "Questions", note),
        table({g: g.replace("_", " H") for g in both}, "Questions by type and hops", "The same answers."),
    ]


def _commands(found: Found) -> Table:
    rows: list[tuple[Cell, ...]] = []

    def add(name: str, accuracy: CommandAccuracy | None) -> None:
        if accuracy is not None:
            parts = (percent(value, 1) for value in (accuracy.direction, accuracy.speed, accuracy.both))
            rows.append((name, str(accuracy.count), *parts))

    for label, by_command in found.items():
        for scores in by_command.values():
            name = row_name(label, scores)
            add(f"{name}, text against the truth", scores.commands)
            if scores.commands_of_plan is not None:
                add(f"{name}, text against its own plan", scores.commands_of_plan)
                add(f"{name}, plan against the truth", scores.plan_commands)
    return Table(
        ("command, own rule", "number", "direction %", "speed %", "both %"),
        tuple(rows),
        "Commands, by this project's own rule",
        "Exact match of the two parts of such texts as 'turn left and decelerate'. The truth is this project's own "
        "rule on the path (docs/explainer.md), not the words of Hint-AD's commands.json.",
    )


def _online(found: Found) -> Table:
    units = {"count": "", "distance": " m", "direction": " degrees", "position": " m", "speed": " m/s",
             "motion": " m/s", "plan": " m"}  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for label, by_command in found.items():
        for task, errors in by_command["given"].online.items():
            for name, mean in errors.means().items():
                title = f"{label}, {task}" + (f": {name}" if name != task else "")
                rows.append((title + units[name], number(mean), str(errors.read), str(errors.unread)))
    return Table(
        ("error", "mean", "read", "not readable"),
        tuple(rows),
        "Alignment tasks",
        "Does the text tell what the driver itself detects, predicts and plans? Less is better. count: root mean "
        "square over six classes; position and motion are of the object with the best score, and in m and m/s the "
        "distance between the ends of the two arrows.",
    )


def _consistency(found: Found, others: Mapping[str, Mapping[str, Consistency]]) -> Table:
    named = {
        row_name(label, scores): scores.consistency
        for label, by_command in found.items()
        for scores in by_command.values()
        if scores.consistency
    }
    strong = frozenset(range(len(named)))
    rows = [(name, *_verdicts(list(values.values()))) for name, values in {**named, **others}.items() if values]
    kinds = (f"{kind.value}: contradicted" for kind in Kind)
    return Table(
        ("explanations", "number", "consistent %", "contradicted", "nothing to check", *kinds),
        tuple(rows),
        "Consistency of text and plan",
        "What the text says against the plan that it was read from and the objects that are detected "
        "(docs/consistency.md); per cent of those with anything to check. By kind: contradicted of checked statements.",
        strong,
    )


def _verdicts(found: Sequence[Consistency]) -> tuple[Cell, ...]:
    counts = Counter(each.consistent for each in found)
    checked = counts[True] + counts[False]
    cells: list[Cell] = [str(len(found)), percent(counts[True] / checked, 1) if checked else None]
    cells += [str(counts[False]), str(counts[None])]
    for kind in Kind:
        verdicts = Counter(finding.verdict for each in found for finding in each.of_kind(kind))
        against = verdicts[Verdict.CONTRADICTS]
        judged = against + verdicts[Verdict.CONSISTENT]
        cells.append(f"{against} of {judged}" if judged else None)
    return tuple(cells)


def _cells(scores: CaptionScores) -> tuple[Cell, ...]:
    return (str(len(scores)), *(percent(scores.corpus[key], 1) for key in SCORES))


def _java_note(found: Found) -> str:
    every = [scores for by_command in found.values() for scores in by_command.values()]
    missing = any(s.explanations and s.explanations.parts["joined"].corpus["meteor"] is None for s in every)
    return _NO_JAVA if missing else ""
