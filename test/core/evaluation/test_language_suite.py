"""`aln-p3 evaluate --suite language` with a tiny explainer, from the texts' files to the report."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import CheckpointError, ConfigError, DataError
from aln_p3_core.evaluation.language.intervention import FlippedText, MaskedText, NamedScene
from aln_p3_core.evaluation.language.intervention_suite import SceneInterventions, intervention_tables, summed_up
from aln_p3_core.evaluation.language.said import SaidFrame, Saying, load_said, save_said, spread
from aln_p3_core.evaluation.language.scores import LanguageScores, score_language
from aln_p3_core.evaluation.language.truths import frame_truths, true_captions
from aln_p3_core.evaluation.language.writing import TextWriter, WritingSettings, write_texts
from aln_p3_core.evaluation.predictions import DriverPredictor
from aln_p3_core.evaluation.report_blocks import Table
from aln_p3_core.evaluation.sample_facts import facts_of
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.evaluation.subjects import Subject, find_explainers
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand

STRAIGHT = "Narration: the ego car goes straight at a steady speed. Reasoning: because the road is clear."
LEFT = "Narration: the ego car turns left. Reasoning: because the route leads there."


@pytest.fixture(scope="module")
def root(two_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two scenes with texts about them; the route turns left at the last key frame."""
    root = tmp_path_factory.mktemp("told") / "root"
    shutil.copytree(two_scenes, root)
    tables = root / "v1.0-track"
    samples = [row["token"] for row in json.loads((tables / "sample.json").read_text())]
    annotations = [row["token"] for row in json.loads((tables / "sample_annotation.json").read_text())]
    (root / "route_command.json").write_text(json.dumps(dict.fromkeys(samples, "straight") | {samples[-1]: "left"}))
    folder = root / "language"
    folder.mkdir()
    said = {"narration": "the car goes on", "reasoning": "because the road is clear"}
    for split in ("val", "train"):
        (folder / f"Nu_X_{split}.json").write_text(json.dumps(dict.fromkeys(samples, said)))
        rows = [
            {"split": split, "sample_token": token, "question": f"Is there {what}?", "answer": answer, "num_hop": hop,
             "template_type": "exist"}
            for token in samples for what, answer, hop in (("a car", "yes", 0), ("a bus", "no", 1))
        ]  # fmt: skip
        (folder / f"NuScenes_{split}_questions.json").write_text(json.dumps({"questions": rows}))
    # The world's form and the released one.
    sentence, parts = (
        {"final_caption": "A car is ahead"},
        {"attribute_caption": {"attribute_caption": "A car"}, "motion_caption": {"motion_caption": "ahead"}},
    )
    captions = {token: (sentence, parts)[number % 2] for number, token in enumerate(annotations)}
    (folder / "final_caption_bbox_token.json").write_text(json.dumps(captions))
    return root


@pytest.fixture(scope="module")
def speaking(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small driver with a tiny random explainer beside it; every object reaches the explainer."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from aln_p3_core.explainer.checkpoint import save_explainer
    from aln_p3_core.explainer.explainer import Explainer
    from aln_p3_core.explainer.language_files import SMOLLM2, language_folder
    from aln_p3_core.explainer.settings import ExplainerConfig, LanguageModelSettings, TokenMixerSettings

    folder = tmp_path_factory.mktemp("speaking")
    driver = folder / "driver.safetensors"
    shutil.copy(small_checkpoint, driver)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(language_folder(SMOLLM2)), local_files_only=True)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        bos_token_id=1, eos_token_id=2, pad_token_id=2, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(shape).save_pretrained(folder / "language")
    tokenizer.save_pretrained(folder / "language")
    loaded = DriverPredictor(driver, precision="fp32").driver
    network = loaded.config
    explainer = Explainer(
        ExplainerConfig(
            name="tiny",
            mixer=TokenMixerSettings(width=32, instance_width=16, heads=4, bev_channels=16, bev_blocks=1),
            language_model=LanguageModelSettings(source=str(folder / "language"), precision="fp32"),
            agent_score=0.0,
        ),
        driver_width=network.embed_dims,
        modes=network.agents.modes,
        steps=6,
        bev_shape=(network.bev.rows, network.bev.columns),
    )
    save_explainer(folder / "explainer.safetensors", explainer, driver_hash=loaded.checkpoint_hash)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(make_cli(CORE_COMMANDS), ["evaluate", *map(str, arguments), "--suite", "language"])


@pytest.mark.slow
def test_the_report(root: Path, speaking: Path, tmp_path: Path) -> None:
    arguments = (speaking / "driver.safetensors", "--data", root, "--report", tmp_path, "--precision", "fp32")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Intervention" not in result.output, "only where it is asked for"
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["card"]["explainer of driver"]["recipe"] == "tiny"
    for row in (
        "driver: command given, joined",
        "driver: command withheld, reasoning",
        "most frequent text of training, joined",
        "true text of another frame, joined",
        "driver, m@0.25IoU_released",
        "prior of type and hops",
        "driver: command given, plan against the truth",
        "driver, position: distance m",
        "true text, plan of driver",
    ):
        assert f"| {row} |" in text, row
    assert "### Commands, by this project's own rule\n\n| command, own rule |" in text
    assert page.count("data:image/jpeg") == 2 * 2, "the worst and the best, one a scene"
    given, none = (report["results"]["language"]["driver"][use] for use in ("given", "none"))
    assert given["frames"] == 4 and given["measures"]["qa_accuracy"] == 0.0
    assert set(given["by_scene"]["explanation_cider"]) == {"scene-0001", "scene-0002"}
    assert given["by_scene"]["qa_accuracy"]["scene-0001"] == [0.0, 4]
    assert "caption_cider" in given["measures"] and "caption_cider" not in none["measures"]
    assert "| most frequent text of training, joined | 4 | 100.0 |" in text
    assert "| prior of the question's words | 100.0 | 100.0 | 100.0 | 100.0 |" in text
    assert "--train-texts" not in text, "the root has training texts"
    priors = report["results"]["language"]["driver"]["priors"]
    assert priors["questions"]["prior of type and hops"]["exist_0"] == {"correct": 4, "total": 4, "value": 1.0}
    assert priors["explanations"]["most frequent text of training"]["joined"]["bleu_1"] == pytest.approx(1.0)
    assert priors["files"]["explanations"] == str(root / "language" / "Nu_X_train.json")
    files = sorted((tmp_path / "texts" / "driver").iterdir())
    assert [file.name for file in files] == [f"scene-000{n}.{end}" for n in (1, 2) for end in ("json", "npz")]
    frames = [frame for file in files[::2] for frame in load_said(file) or ()]
    asked = {task: sum(len(frame.of(task)) for frame in frames) for task in Task}
    assert asked[Task.EXPLANATION] == asked[Task.COMMAND] == asked[Task.PLAN] == 4 and asked[Task.CAPTION] == 16
    again = [saying.task for frame in frames for saying in frame.said if saying.command == "none"]
    assert sorted(again) == ["command", "explanation", "question", "question"], "one frame turns left"
    stamps = {file: file.stat().st_mtime_ns for file in files}
    (tmp_path / "report.json").unlink()
    assert run(*arguments).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in files} == stamps, "kept texts are scored again"
    assert json.loads((tmp_path / "report.json").read_text())["results"] == report["results"]


@pytest.mark.slow
def test_another_process_or_fewer_frames_change_no_text(root: Path, speaking: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(root)
    tokens = [token for scene in dataset.scenes for token in dataset.scene_tokens(scene)]
    writer = TextWriter(
        DriverPredictor(speaking / "driver.safetensors", precision="fp32"),
        speaking / "explainer.safetensors",
        WritingSettings(("explanation", "question"), questions=1),
    )
    truths = frame_truths(dataset, tokens, "val", 1)
    every = write_texts(writer, dataset, tokens, truths, tmp_path / "a", progress=False)
    sent: TextWriter = pickle.loads(pickle.dumps(writer))  # as to another process, which loads its own models
    some = write_texts(sent, dataset, spread(tokens, 2), truths, tmp_path / "b", progress=False)
    assert [frame.token for frame in some.frames] == [tokens[0], tokens[2]]
    assert some.frames == [every.frames[0], every.frames[2]]
    assert np.array_equal(some.predictions[1].plan_model, every.predictions[2].plan_model)
    stranger = replace(writer, predictor=DriverPredictor("untrained:nano"))
    with pytest.raises(CheckpointError, match="trained with this driver"):
        write_texts(stranger, dataset, tokens, truths, tmp_path / "a", progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(("captions", "described"), [(3, 3), (0, 20)])
def test_so_many_objects_are_described(root: Path, speaking: Path, tmp_path: Path, captions: int, described: int
                                       ) -> None:  # fmt: skip
    dataset = NuScenesDataset(root)
    writer = TextWriter(
        DriverPredictor(speaking / "driver.safetensors", precision="fp32"),
        speaking / "explainer.safetensors",
        WritingSettings(("caption",), captions=captions),
    )
    tokens = dataset.tokens[:1]
    written = write_texts(writer, dataset, tokens, frame_truths(dataset, tokens, "val"), tmp_path, progress=False)
    rows = [saying.about["row"] for saying in written.frames[0].of(Task.CAPTION)]
    assert rows == list(range(described)), "0: all that the explainer reads"


@pytest.mark.slow
def test_without_a_given_command_the_plan_of_the_true_path_is_read(two_scenes: Path, speaking: Path, tmp_path: Path,
                                                                   root: Path) -> None:  # fmt: skip
    dataset = NuScenesDataset(two_scenes)
    truths = frame_truths(dataset, dataset.tokens, "val", 1, root / "language")
    for token, truth in truths.items():
        assert truth.route == dataset.targets(token).command, "as the row of the planning suite"
    given = frame_truths(NuScenesDataset(root), dataset.tokens, "val", 1)
    assert all(truth.route is None for truth in given.values()), "what is given counts"
    last = dataset.tokens[-1]
    left = RouteCommand(Command.LEFT, CommandProvenance.GROUND_TRUTH)
    truths[last] = replace(truths[last], route=left)
    writer = TextWriter(
        DriverPredictor(speaking / "driver.safetensors", precision="fp32"),
        speaking / "explainer.safetensors",
        WritingSettings(("explanation",)),
    )
    written = write_texts(writer, dataset, dataset.tokens, truths, tmp_path, progress=False)
    prediction = written.predictions[-1]
    assert written.frames[-1].route_command == "left" and prediction.command == left and prediction.token == last
    assert prediction.plans_model is not None
    assert np.array_equal(prediction.plan_model, prediction.plans_model[Command.LEFT.value])
    said = {saying.command: saying.answer for saying in written.frames[-1].said}
    on_given = replace(truths[last], route=RouteCommand())
    straight = write_texts(writer, dataset, dataset.tokens[2:], {**truths, last: on_given}, tmp_path / "b",
                           progress=False)  # fmt: skip
    assert said["none"] == straight.frames[-1].said[0].answer and len(straight.frames[-1].said) == 1


@pytest.mark.slow
def test_a_root_without_commands_and_texts(root: Path, two_scenes: Path, speaking: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    shutil.copytree(root / "language", texts)
    for file in texts.glob("*_train*"):
        file.unlink()
    result = run(
        speaking / "driver.safetensors", "--data", two_scenes, "--report", tmp_path / "report", "--precision", "fp32",
        "--texts", texts, "--language-tasks", "explanation,question",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for told in (
        "| driver: command ground truth, joined |",
        "Command ground truth: where the data set gives no command",
        "| most frequent text, other scenes of val, joined |",
        "| prior of type and hops, other scenes of val |",
        "--train-texts ROOT names",
    ):
        assert told in result.output, told
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["card"]["texts"] == str(texts)
    driver = found["results"]["language"]["driver"]
    assert (driver["given"]["command"], driver["none"]["command"]) == ("ground truth", "none")
    assert "qa_accuracy" in driver["given"]["measures"], "under the key that studies read"


@pytest.mark.slow
def test_interventions_are_kept_and_told(root: Path, speaking: Path, tmp_path: Path) -> None:
    arguments = (speaking / "driver.safetensors", "--data", root, "--report", tmp_path, "--precision", "fp32",
                 "--language-tasks", "explanation,intervention")  # fmt: skip
    for _ in range(2):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        # Random words name no object, so that nothing was masked; a plan may or may not turn.
        assert "| driver, bev | 0 of 4 |" in result.output and "Intervention: another command's plan" in result.output
    found = json.loads((tmp_path / "report.json").read_text())["results"]["language"]["driver"]["interventions"]
    assert found["mask_tokens"]["scenes"] == found["flip_command"]["scenes"] == 4


@pytest.mark.slow
def test_interventions_speak_and_are_judged_as_all_explanations(
    root: Path, speaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def intervene(speaker: object, drive: str, scenes: Sequence[NamedScene], *more: object) -> SceneInterventions:
        asked.append(([scene.speed_now_ms for scene in scenes], more[-1]))
        return SceneInterventions(drive, len(scenes), {"tokens": (), "bev": ()}, ())

    monkeypatch.setattr("aln_p3_core.evaluation.language.writing.intervene", intervene)
    dataset = NuScenesDataset(root)
    writer = TextWriter(
        DriverPredictor(speaking / "driver.safetensors", precision="fp32"),
        speaking / "explainer.safetensors",
        WritingSettings(("intervention",)),
    )
    tokens = dataset.tokens[:1]
    write_texts(writer, dataset, tokens, frame_truths(dataset, tokens, "val"), tmp_path, progress=False)
    (fact,) = facts_of(dataset, dataset.scenes, {tokens[0]: dataset.targets(tokens[0])}).values()
    assert asked == [([fact.speed], 96)]


def test_sums_of_interventions() -> None:
    masked = MaskedText("a", 0, 1, "a car is ahead", "it stops", "a car is ahead", False, True)
    kept = MaskedText("b", 0, 1, "a car is ahead", "a car is ahead", "a car is ahead", True, True)
    flipped = FlippedText("a", "it turns left", "it turns right", 1, -1, 1, -1)
    drives = [
        SceneInterventions("s1", 2, {"tokens": (masked,), "bev": (masked,)}, (flipped,)),
        SceneInterventions("s2", 1, {"tokens": (kept,), "bev": (masked,)}, ()),
    ]
    assert [SceneInterventions.from_json(json.loads(json.dumps(drive.to_json()))) for drive in drives] == drives
    (tokens, bev), command = summed_up(drives)
    assert (tokens.changed.mean, bev.changed.mean, bev.control_changed.mean) == (0.5, 1.0, 0.0)
    assert tokens.scenes == 3 and len(tokens.texts) == 2 and command.together.mean == 1.0
    masks, flips = intervention_tables({"driver": drives, "other": []})
    assert isinstance(masks, Table) and isinstance(flips, Table)
    assert masks.rows[0][:4] == ("driver, tokens", "2 of 3", "50 (0 to 100)", "0 (0 to 0)")
    assert flips.rows == (("driver", "1 of 3", "100", "100", "100", "100"),)
    assert intervention_tables({"driver": []}) == []


def test_truths(root: Path, two_scenes: Path) -> None:
    dataset = NuScenesDataset(root)
    tokens = [token for scene in dataset.scenes for token in dataset.scene_tokens(scene)]
    truths = frame_truths(dataset, tokens, "val", 1)
    first = truths[tokens[0]]
    assert first.explanation == "Narration: the car goes on. Reasoning: because the road is clear."
    assert first.command == "go straight and keep speed" and [q.answer for q in first.questions] == ["yes"]
    targets = {token: dataset.targets(token) for token in tokens}
    boxes = true_captions(dataset, targets, tokens, "val")
    assert boxes is not None and len(boxes.boxes) == sum(int(t.valid.sum()) for t in targets.values())
    assert set(boxes.boxes.texts) == {"A car is ahead"}
    bare = NuScenesDataset(two_scenes)
    with pytest.raises(DataError, match=r"no texts of split 'val': put Nu_X_val\.json"):
        frame_truths(bare, tokens, "val")
    texts = root / "language"
    told = {token: replace(truth, route=None) for token, truth in frame_truths(bare, tokens, "val", 1, texts).items()}
    assert told == truths, "texts may lie elsewhere"
    elsewhere = true_captions(bare, targets, tokens, "val", texts)
    assert elsewhere is not None and elsewhere.boxes.texts == boxes.boxes.texts
    with pytest.raises(DataError, match=rf"{root / 'maps'} has no texts of split 'val': put Nu_X_val"):
        frame_truths(dataset, tokens, "val", 1, root / "maps")


def sayings(explanation: str, answer: str, command: str, use: str = "given") -> tuple[Saying, ...]:
    about = {"num_hop": 0, "template_type": "exist"}
    return (
        Saying("explanation", use, "Why?", explanation, False, STRAIGHT),  # type: ignore[arg-type]
        Saying("question", use, "Is it?", answer, False, "yes", about),  # type: ignore[arg-type]
        Saying("command", use, "Which?", command, True, "go straight and keep speed"),  # type: ignore[arg-type]
    )


def scored(
    frames: Sequence[SaidFrame], use: str, provenance: CommandProvenance = CommandProvenance.GIVEN
) -> LanguageScores:
    steps = np.arange(1.0, 7.0)
    straight, left = (np.stack([side * steps**2, 4 * steps], axis=1) for side in (0.0, -0.3))
    plans = np.stack([left, left, straight])
    predictions = {
        frame.token: SamplePrediction(
            frame.token, frame.scene, plans[Command[frame.route_command.upper()].value], plans,
            command=RouteCommand(Command[frame.route_command.upper()], provenance),
        )
        for frame in frames
    }  # fmt: skip
    speeds = {frame.token: 8.0 for frame in frames}
    return score_language(frames, use, predictions, speeds)  # type: ignore[arg-type]


def test_scores_with_the_command_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aln_p3_core.evaluation.language.scores.find_java", lambda: None)
    monkeypatch.setattr("aln_p3_core.evaluation.language.captions.find_java", lambda: None)
    right, wrong = "go straight and keep speed", "turn left and keep speed"
    frames = [
        SaidFrame("a", "s1", "straight", sayings(STRAIGHT, "yes", right)),
        SaidFrame("b", "s2", "left", sayings(LEFT, "no", wrong) + sayings(STRAIGHT, "yes", right, "none")),
    ]
    given, none = scored(frames, "given"), scored(frames, "none")
    assert given.explanations is not None and given.explanations.parts["joined"].corpus["meteor"] is None
    rouge = given.explanations.parts["joined"].sentences["rouge_l"]
    assert rouge[0] == 1.0 > rouge[1]
    measures, scenes = given.measures()
    assert measures["qa_accuracy"] == measures["command_accuracy"] == 0.5 and "explanation_meteor" not in measures
    assert scenes["qa_accuracy"] == {"s1": (1.0, 1), "s2": (0.0, 1)} and "explanation_bleu4" not in scenes
    assert measures["explanation_rouge"] == pytest.approx(rouge.mean())
    assert measures["consistency"] == 1.0, "it turns left, and says so"
    assert given.plan_commands is not None and given.plan_commands.direction == 0.5
    assert given.truncated == pytest.approx(1 / 3)
    assert none.questions is not None and none.questions["Overall"].correct == 2, "what was straight counts as it is"
    assert none.explanations is not None and none.explanations.said[0] == none.explanations.said[1]
    assert none.plan_commands is not None and none.plan_commands.direction == 1.0
    assert (given.command_source, none.command_source) == ("given", "none")
    true = CommandProvenance.GROUND_TRUTH
    assert scored(frames, "given", true).command_source == "ground truth"
    assert scored(frames, "none", true).command_source == "none"
    contrary = scored([SaidFrame("a", "s1", "straight", sayings(LEFT, "yes", right))], "given")
    assert contrary.measures()[0]["consistency"] == 0.0


def test_files_of_texts(tmp_path: Path) -> None:
    frames = [SaidFrame("a", "s1", "straight", sayings(STRAIGHT, "yés", "stop"))]
    save_said(tmp_path / "s1.json", "key", frames)
    assert load_said(tmp_path / "s1.json", "key") == load_said(tmp_path / "s1.json") == frames
    assert load_said(tmp_path / "s1.json", "another key") is None and load_said(tmp_path / "s2.json") is None
    (tmp_path / "s1.json").write_text('{"format": ')
    assert load_said(tmp_path / "s1.json") is None
    assert spread(["a", "b", "c", "d"], 2) == ["a", "c"] and spread(["a"], 0) == spread(["a"], 3) == ["a"]


@dataclass(frozen=True)
class Somebody:
    """Stands for a predictor."""


def test_whose_explainer(tmp_path: Path) -> None:
    drivers = [Subject(n, str(tmp_path / n / "driver.safetensors"), Somebody()) for n in "ab"]  # type: ignore[arg-type]
    planner = Subject("human", "human")
    assert find_explainers((), [*drivers, planner]) == {}
    (tmp_path / "b").mkdir()
    beside = tmp_path / "b" / "explainer.safetensors"
    beside.touch()
    assert find_explainers((), [*drivers, planner]) == {"b": beside}
    assert find_explainers(("x",), [*drivers, planner]) == {"a": "x", "b": "x"}
    assert find_explainers(("x", "y"), drivers) == {"a": "x", "b": "y"}
    with pytest.raises(ConfigError, match="3 explainers for 2 drivers"):
        find_explainers(("x", "y", "z"), drivers)


def test_mistakes_are_explained(root: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    result = run(small_checkpoint, "--data", root, "--report", tmp_path)
    assert result.exit_code != 0 and "name one (--explainer)" in result.output
    with pytest.raises(ConfigError, match="no language task 'poem'; choose from explanation, caption"):
        WritingSettings(("poem",))
