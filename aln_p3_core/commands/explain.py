"""`aln-p3 explain`: what the driver does in one frame and why, in words, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.commands.options import SCORES, driver_options, explainer_file, frame_options, make_driver
from aln_p3_core.commands.outputs import output_file

if TYPE_CHECKING:
    from aln_p3_core.explainer.speaking import Spoken
    from aln_p3_core.scene import DrivingScene

#: Height of the words' letters in the picture, pixels.
_LETTERS = 22


@click.command("explain")
@click.option(
    "--data",
    "root",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="nuScenes-schema data set.",
)
@click.option("--sample", help="Token of the key frame [default: the first one with the asked history].")
@click.option(
    "--explainer", default="nano", show_default=True, callback=explainer_file, metavar="NAME|FILE", help="Who speaks."
)
@driver_options
@frame_options(history=2)
@click.option("--question", "questions", multiple=True, help="Ask this as well; may be repeated.")
@click.option(
    "--captions",
    default=3,
    type=click.IntRange(min=0),
    show_default=True,
    help="Objects to describe, best score first.",
)
@click.option(
    "--max-new-tokens", default=64, type=click.IntRange(min=1), show_default=True, help="Longer texts are cut off."
)
@click.option(
    "--min-score",
    type=SCORES,
    default=0.3,
    show_default=True,
    help="Agents and lines below it are not drawn.",
)
@click.option(
    "--out",
    "--picture",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="PNG to write.",
)
def command(
    root: str,
    sample: str | None,
    explainer: Path,
    route: str | None,
    history: int,
    questions: tuple[str, ...],
    captions: int,
    max_new_tokens: int,
    min_score: float,
    picture: Path | None,
    **driver_settings: Any,
) -> None:
    """Explains one frame of a data set: narration, reasoning, captions, answers, and whether they fit the plan.

    The picture shows cameras, bird's-eye view and plan with the words below, in red where they contradict the plan or
    the objects.

    \b
    Example
      aln-p3 explain --data data/world --sample TOKEN --question "Is there a bus?" --out explained.png
    """
    from aln_p3_core.commands.plan import tokens_until, with_command
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.explainer.speaking import SceneSpeaker

    dataset = NuScenesDataset(root)
    token = sample or dataset.tokens[min(history, len(dataset.tokens) - 1)]
    frames = [with_command(dataset, t, route) for t in tokens_until(dataset, token, history)]
    driver = make_driver(**driver_settings)
    speaker = SceneSpeaker.load(explainer, driver_hash=driver.checkpoint_hash, device=driver_settings["device"])
    for frame in frames[:-1]:
        driver.infer(frame)
    scene = driver.plan(frames[-1], with_tokens=True)
    status = frames[-1].ego_status
    spoken = speaker.explain(
        scene,
        captions=captions,
        max_new_tokens=max_new_tokens,
        speed_now_ms=None if status is None else float(status.velocity[0]),
    )
    assert spoken is not None, "nobody stops it"
    answers = [(question, speaker.answer(scene, question, max_new_tokens=max_new_tokens)) for question in questions]
    lines = _lines(scene, spoken, answers)
    click.echo(f"sample {token}, {driver.description}; {speaker.description} ({speaker.model_id})")
    click.echo("\n".join(lines))
    click.echo(f"{1e3 * spoken.seconds:.0f} ms")
    if picture is not None:
        import cv2

        from aln_p3_core.drawing.images import save_image
        from aln_p3_core.drawing.overview import draw_overview
        from aln_p3_core.drawing.strips import draw_caption

        overview = draw_overview(
            frames[-1],
            scene,
            dataset.targets(token),
            lidar_model=dataset.lidar_in_model(token),
            min_score=min_score,
            banner=driver.description,
        )
        wrong = spoken.consistency is not None and bool(spoken.consistency.contradictions)
        words = draw_caption("\n".join(lines), overview.shape[1], alarm=wrong, size=_LETTERS)
        save_image(picture, cv2.vconcat([overview, words]))
        click.echo(f"wrote {picture}")


def _lines(scene: DrivingScene, spoken: Spoken, answers: list[tuple[str, Spoken]]) -> list[str]:
    """What was said and what is to be thought of it, a line each."""
    agents = scene.agents
    names = {
        int(query): agents.class_names[int(kind)]
        for query, kind in zip(agents.query_ids, agents.class_ids, strict=True)
    }
    if spoken.narration or spoken.reasoning:
        lines = [f"narration: {_one_line(spoken.narration)}", f"reasoning: {_one_line(spoken.reasoning)}"]
    else:
        lines = [f"said: {_one_line(spoken.text)}"]
    if spoken.truncated:
        lines.append("(cut off)")
    verdict = spoken.consistency
    if verdict is not None:
        words = {True: "consistent", False: "CONTRADICTS", None: "not checkable"}[verdict.consistent]
        findings = verdict.contradictions or tuple(map(str, verdict.statements))
        lines.append(f"plan and objects: {words} ({'; '.join(findings)})")
    lines += [f"{names[caption.query_id]}: {_one_line(caption.text)}" for caption in spoken.captions]
    for question, answer in answers:
        lines += [
            f"question: {question}",
            f"answer: {_one_line(answer.text)}{' (cut off)' if answer.truncated else ''}",
        ]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
