"""The report's table of plan-text consistency, from what was said to its cells."""

from __future__ import annotations

from consistency_helpers import made_agents, made_plan

from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.evaluation.language.language_tables import language_tables
from aln_p3_core.evaluation.language.nuscenes_qa import Accuracy
from aln_p3_core.evaluation.language.priors import Priors, PriorTexts
from aln_p3_core.evaluation.language.said import SaidFrame, Saying
from aln_p3_core.evaluation.language.scores import explanations_consistency, score_language
from aln_p3_core.evaluation.report_blocks import Table
from aln_p3_core.evaluation.sample_prediction import SamplePrediction

_PLANS = {"keeps": made_plan(4.5), "stops": made_plan(6.0, 0.0), "turns": made_plan(4.5, turned=1.2)}
_AGENTS = {
    "keeps": made_agents(("car", 0.0, 20.0, 4.5, 0.0)),
    "stops": made_agents(("bus", 0.0, 12.0, 0.0, 0.0)),
    "turns": made_agents(),
}
_TEXTS = {
    "keeps": Explanation("the car keeps its speed", "because a car is driving ahead"),
    "stops": Explanation("the car comes to a stop", "since a bus has stopped ahead"),
    "turns": Explanation("the car turns left", "its route turns left here"),
}


def predictions() -> dict[str, SamplePrediction]:
    return {name: SamplePrediction(name, name, plan, agents=_AGENTS[name]) for name, plan in _PLANS.items()}


def said(name: str, words: str) -> SaidFrame:
    return SaidFrame(name, name, "straight", (Saying("explanation", "given", "Why?", words, False, None),))


def test_the_table_counts_texts_and_statements() -> None:
    words = {name: f"Narration: {text.narration}. Reasoning: {text.reasoning}." for name, text in _TEXTS.items()}
    words["turns"] = "banana"
    frames = [said(name, text) for name, text in words.items()]
    scores = score_language(frames, "given", predictions(), {})
    foreign = dict(zip(_TEXTS, [_TEXTS["stops"], _TEXTS["turns"], _TEXTS["keeps"]], strict=True))
    true, others = (explanations_consistency(frames, "given", predictions(), {}, t) for t in (_TEXTS, foreign))
    tables = language_tables(
        {"nano": {"given": scores}}, Priors({}, {}, PriorTexts()), {"true": true, "others": others}
    )
    table = next(block for block in tables if isinstance(block, Table) and block.heading.startswith("Consistency"))
    rows = {row[0]: dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows}
    own = rows["nano: command given"]
    assert [own[name] for name in table.columns[1:5]] == ["3", "100.0", "0", "1"]
    assert own["speed: contradicted"] == "0 of 2" and own["cause: contradicted"] == "0 of 2"
    assert rows["true"]["direction: contradicted"] == "0 of 1" and rows["true"]["contradicted"] == "0"
    assert rows["others"]["consistent %"] == "0.0" and rows["others"]["contradicted"] == "3"
    assert "place: contradicted" not in table.columns, "nobody said one"


def test_answers_by_type_and_hops() -> None:
    asked = [("exist", 0, "yes"), ("exist", 1, "no"), ("count", 1, "3"), ("count", 1, "4")]
    frame = SaidFrame(
        "keeps", "keeps", "straight",
        tuple(
            Saying("question", "given", "?", "no", False, right, {"num_hop": hop, "template_type": kind})
            for kind, hop, right in asked
        ),
    )  # fmt: skip
    scores = score_language([frame], "given", predictions(), {})
    prior = {"Overall": Accuracy(2, 4), "exist_0": Accuracy(1, 1), "count_1": Accuracy(1, 2)}
    blocks = language_tables({"nano": {"given": scores}}, Priors({}, {"prior": prior}, PriorTexts()), {})
    tables = {block.heading: block for block in blocks if isinstance(block, Table)}
    assert tables["Questions"].columns == ("answers", "all (4)", "H0 (1)", "H1 (3)", "count (2)", "exist (2)")
    both = tables["Questions by type and hops"]
    assert both.columns == ("answers", "count H1 (2)", "exist H0 (1)", "exist H1 (1)")
    assert both.rows == (("nano: command given", "0.0", "0.0", "100.0"), ("prior", "50.0", "100.0", None))
    assert both.strong == {0} and "--train-texts" in tables["Questions"].note, "says why there is no prior of its own"
