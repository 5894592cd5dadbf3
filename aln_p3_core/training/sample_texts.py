"""What the explainer says of a few validation frames in the course of a training, beside what it should say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.sample_pictures import sample_places
from aln_p3_core.training.text_data import TextSource
from aln_p3_core.training.text_settings import TextKind
from aln_p3_core.training.training_data import TrainingData
from aln_p3_core.training.validation import predict
from aln_p3_core.whole_files import written_whole

if TYPE_CHECKING:
    from aln_p3_core.training.joint import JointModule

_KINDS: tuple[TextKind, ...] = ("explanation", "command", "caption", "question", "motion", "count", "plan")


def write_texts(
    module: JointModule, network: DriverNetwork, data: TrainingData, folder: Path, step: int
) -> Path | None:
    """Writes `step_00000400.md`: the frames of the sample pictures, one text of each kind.

    Args:
        module: whose explainer speaks, in evaluation mode.
        network: whose tokens it reads.
        data: of the run.
        folder: for the file.
        step: of the run.
    """
    from aln_p3_core.explainer.tasks import Prompt

    clips = data.validation
    if clips is None or clips.texts is None:
        return None
    settings = replace(clips.texts.settings, per_frame=len(_KINDS), every_frame=_KINDS)
    source = TextSource(clips.texts.library, settings)
    device = next(network.parameters()).device
    lines = [f"# Step {step}", ""]
    for number, place in enumerate(sample_places(data)):
        batch = collate_clips([clips[place]]).to(device)
        texts = source.draw(int(clips.indices[place]), 0)
        scenes, context = module.scenes(predict(network, batch), batch.targets, [texts])
        prompts = [Prompt(sample.task, sample.prompt, focus=sample.focus) for sample in scenes.samples]
        answers = module.explainer.generate(context, prompts, max_new_tokens=settings.sample_tokens) if prompts else []
        lines += [
            f"## {batch.targets[0].token}",
            "",
            f"![frame](../pictures/step_{step:08d}_{number}.png)",
            "",
            "| text | asked | said | should be |",
            "|---|---|---|---|",
        ]
        for sample, answer in zip(scenes.samples, answers, strict=True):
            about = f"{sample.task.value}, object {sample.focus}" if sample.focus >= 0 else sample.task.value
            said = answer.text + (" [cut]" if answer.truncated else "")
            lines.append(f"| {about} | {_cell(sample.prompt)} | {_cell(said)} | {_cell(sample.answer)} |")
        lines.append("")
    path = folder / f"step_{step:08d}.md"
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    return path


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
