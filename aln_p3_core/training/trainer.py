"""The training loop: one process on a CPU, one GPU, or many processes under torchrun (through accelerate).

A run is a list of stages, each with its own optimiser and schedule. Every step's chance comes from the seed and the
step's number, and every few steps everything is written down, so a run that was killed goes on to the same weights.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import math
import signal
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from aln_p3_core.config import DriverConfig, to_dict
from aln_p3_core.device import hardware_card
from aln_p3_core.driver.checkpoint import in_types_of, load_checkpoint
from aln_p3_core.driver.checkpoint import save_state as save_driver
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import TrainingError
from aln_p3_core.runtime.allocator import keep_freed_memory
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.begin import begins_pretrained, check_begin, taken_over
from aln_p3_core.training.checkpointing import TrainingState, load_state, named, of_part, save_state
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.ema import averaged
from aln_p3_core.training.failures import explained
from aln_p3_core.training.forward import TrainedModule
from aln_p3_core.training.meeting import Meeting
from aln_p3_core.training.plots import plot_run
from aln_p3_core.training.readers import batches_of, begin_reader
from aln_p3_core.training.run_log import TIME, RunLog, card_commits, read_rows, remove_partial_files, speed, write_json
from aln_p3_core.training.sample_pictures import draw_samples
from aln_p3_core.training.sampler import ClipSampler
from aln_p3_core.training.schedule import make_optimizer, make_scheduler
from aln_p3_core.training.settings import StageSettings, TrainingConfig
from aln_p3_core.training.settings_check import check_parts, check_settings, check_shuffled
from aln_p3_core.training.step_clock import StepClock
from aln_p3_core.training.training_data import TrainingData, open_data
from aln_p3_core.training.validation import BatchLoss, validate

if TYPE_CHECKING:
    from aln_p3_core.training.explainer_side import ExplainerSide

_WRITTEN = (
    "driver.safetensors",
    "last.safetensors",
    "explainer.safetensors",
    "last_explainer.safetensors",
    "run.json",
    "log.jsonl",
)
# Of the explainer's entries among the averaged weights of a checkpoint.
_SPEAKER = "explainer_average."


class Trainer:
    """One run in one folder.

    Attributes:
        folder: of the run: checkpoints, logs, plots, pictures, `driver.safetensors`.
        step: optimiser steps done, over all stages.
        best: "measure" and "step" of the best validation so far, or {}.
        stopped: whether a signal ended it before its time. stop_signal: its number.
    """

    def __init__(
        self,
        driver: DriverConfig,
        config: TrainingConfig,
        folder: Path,
        *,
        resume: bool = False,
        init: Path | None = None,
        fresh: Sequence[str] = (),
        init_explainer: Path | None = None,
    ) -> None:
        """
        Args:
            driver, config: recipe and training.
            folder: of the run.
            resume: go on from the folder's newest checkpoint (from the start where there is none yet).
            init: checkpoint of the same recipe to take weights from.
            fresh: parts of the network that start anew all the same; in these the checkpoint's recipe may differ.
            init_explainer: explainer's checkpoint to take weights from, in trainings with an explainer.

        Raises:
            ConfigError: for settings that contradict each other, or a part that does not exist. CheckpointError: for
                weights that do not fit, or checkpoints of other settings. TrainingError: for a folder that holds a run
                already.
        """
        check_settings(driver, config)
        check_parts(fresh, "--fresh")
        keep_freed_memory()
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        self.driver, self.config, self.folder, self._init = driver, config, folder, init
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        check_shuffled(config, self.accelerator.num_processes)
        self._settings = {"driver": to_dict(driver), "training": json.loads(json.dumps(dataclasses.asdict(config)))}
        checkpoints = folder / "checkpoints"
        if not resume and any(checkpoints.glob("step_*")):
            raise TrainingError(f"{folder} holds a run already: go on with --resume, or name another folder")
        self._state = load_state(checkpoints, self._settings) if resume else None
        if self._state is None:
            check_begin(driver, config, init, fresh)
        torch.manual_seed(config.run.seed)
        pretrained = self._state is None and begins_pretrained(driver, init, fresh)
        network = DriverNetwork(driver, load_pretrained=pretrained, backbone_weights=config.run.backbone_weights)
        if init is not None and self._state is None:
            _, weights, _ = load_checkpoint(init)
            network.load_state_dict(taken_over(weights, network.state_dict(), fresh, init, driver.name))
        device = self.accelerator.device
        # Laid out as their gradients come, which also spares DDP a copy of each.
        for part in (network.backbone, network.neck):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own stubs
        self.module, self.speaker = self._built(network, device, init_explainer)
        self.module.criterion.normaliser = self._mean_over_processes
        self.average = averaged(network, config.optimizer.ema_decay)
        self.step, self.best, self.seconds = 0, dict[str, float](), 0.0
        if self._state is not None:
            self.module.load_saved_state(self._state.weights)
            self.average.load_state_dict(of_part(self._state.average, _SPEAKER, False))
            if self.speaker is not None:
                self.speaker.load_state_dict(of_part(self._state.average, _SPEAKER, True))
            self.step, self.best, self.seconds = self._state.step, self._state.best, self._state.seconds
        self._clock = StepClock(device)
        self.module.lap = self._clock.lap
        # A signal asks for a stop; when all processes know of it, between two steps, they stop together.
        self._asked_to_stop = self.stopped = False
        self.stop_signal: int = signal.SIGTERM  # of processes whose neighbour got it
        self._earlier_commits = [] if self._state is None else card_commits(folder / "run.json")
        # Of the code that runs, whatever becomes of its files meanwhile.
        self._hardware = hardware_card(device)

    def _built(
        self, network: DriverNetwork, device: torch.device, init_explainer: Path | None
    ) -> tuple[TrainedModule, ExplainerSide | None]:
        if self.config.explainer is None:
            criterion = Criterion(self.driver, self.config.losses)
            return TrainedModule(network, criterion, self.config.run.precision).to(device), None
        # Brings transformers along, which takes seconds.
        from aln_p3_core.training.explainer_side import ExplainerSide, joint_module

        module = joint_module(self.driver, self.config, network, device=device, init=init_explainer)
        return module, ExplainerSide(module, self.config.optimizer.ema_decay)

    def run(self, roots: list[Path], *, cache: Path | None = None, jobs: int = 1, progress: bool = True) -> None:
        """Trains to the end, or until a signal (SIGINT, SIGTERM) stops it with a checkpoint.

        Args:
            roots: data.
            cache: folder of the frame and feature stores.
            jobs: processes that prepare frames.
            progress: show bars.

        Raises:
            TrainingError, DataError, ConfigError, CheckpointError: see their classes.
        """
        main = self.accelerator.is_main_process
        self.folder.mkdir(parents=True, exist_ok=True)
        if main:
            remove_partial_files(self.folder, _WRITTEN)
        with explained(self.folder):
            data = self._open_data(roots, cache, jobs, progress and main)
            self._log = RunLog(self.folder, self.step) if main else None
            ended = "failed"
            started = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
            try:
                self._write_card(data, "running")
                self._run_stages(data, progress and main)
                ended = "stopped" if self.stopped else "finished"
            finally:
                # torch tells of a reader that died by a signal, which may come in here, for another reader, once more.
                for last in (False, True):
                    try:
                        self._end(data, ended, started)
                        break
                    except RuntimeError:
                        if last:
                            raise
                        ended = "failed"
            if main and self.stopped:
                plot_run(self.folder)

    def _end(self, data: TrainingData, ended: str, handlers: Mapping[signal.Signals, Any]) -> None:
        """Puts signals back, closes the log and writes down how it ended. May be called again."""
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if self._log is not None:
            self._log.close()
        self._write_card(data, ended)

    def _open_data(self, roots: list[Path], cache: Path | None, jobs: int, progress: bool) -> TrainingData:
        data = open_data(
            roots,
            self.module.network,
            self.config,
            cache=cache,
            jobs=jobs,
            process=(self.accelerator.process_index, self.accelerator.num_processes),
            wait=Meeting(self.accelerator.num_processes).wait,
            device=self.accelerator.device,
            progress=progress,
        )
        # Tables that nobody refers to any more refer to each other.
        gc.collect()
        return data

    def _run_stages(self, data: TrainingData, progress: bool) -> None:
        sampler = ClipSampler(
            data.weights,
            self.config.run.batch_size,
            seed=self.config.run.seed,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        if self._state is not None:
            sampler.load_state_dict(self._state.sampler)
        total = sum(stage.steps for stage in self.config.stages)
        bar = tqdm(total=total, initial=self.step, desc=self.driver.name, unit=" steps", disable=not progress)
        with bar, batches_of(self._loader(data, sampler)) as batches:
            first = 0
            for stage in self.config.stages:
                if self.step < first + stage.steps and not self.stopped:
                    self._run_stage(stage, first, data, sampler, batches, bar)
                first += stage.steps

    def _run_stage(
        self,
        stage: StageSettings,
        first: int,
        data: TrainingData,
        sampler: ClipSampler,
        batches: Iterator[TrainingBatch],
        bar: Any,
    ) -> None:
        """Steps `first` to `first + stage.steps` of the run."""
        run = self.config.run
        self.module.begin_stage(stage)
        optimizer = make_optimizer(self.module, self.config.optimizer, stage.rate, stage.driver_rate)
        scheduler = make_scheduler(optimizer, self.config.optimizer, stage)
        if self._state is not None and self.step > first:
            optimizer.load_state_dict(self._state.optimizer)
            scheduler.load_state_dict(self._state.scheduler)
        self._state = None
        # The wrapper of the stage before would go on listening to gradients.
        self.accelerator.free_memory()
        wrapped, optimizer = self.accelerator.prepare(self.module, optimizer)
        end = first + stage.steps
        since = time.perf_counter()
        while self.step < end and not self.stopped:
            torch.manual_seed(zlib.crc32(f"{run.seed} {self.step} {self.accelerator.process_index}".encode()))
            self._clock.start()
            batch = next(batches).to(self.accelerator.device)
            self._clock.lap("wait")
            loss, terms = wrapped(batch, stage)
            values = self._checked(loss, terms, batch)
            optimizer.zero_grad(set_to_none=True)
            self.accelerator.backward(loss)
            self._clock.lap("backward")
            norms = self._clip_gradients(batch)
            optimizer.step()
            scheduler.step()
            self.average.update_parameters(self.module.network)
            if self.speaker is not None:
                self.speaker.update()
            sampler.advance()
            self.step += 1
            self._clock.lap("optimiser")
            seconds = self._clock.seconds()
            spent = sum(seconds.values())
            values |= self.module.measures
            values |= {
                **norms,
                "learning_rate": float(scheduler.get_last_lr()[0]),
                "samples_per_s": run.batch_size / spent,
                "wait_share": seconds["wait"] / spent,
                "epoch": sampler.epoch + sampler.position / sampler.batches_per_epoch,
                **{TIME + name: value for name, value in seconds.items()},
            }
            if self._log is not None:
                self._log.add("train", self.step, values)
            bar.set_postfix(loss=f"{values['loss']:.3f}", wait=f"{values['wait_share']:.0%}", refresh=False)
            bar.update()
            self.stopped = self._anyone(self._asked_to_stop)
            self._now_and_then(stage, end, data, sampler, optimizer, scheduler)
            self.seconds += time.perf_counter() - since
            since = time.perf_counter()

    def _clip_gradients(self, batch: TrainingBatch) -> dict[str, float]:
        """Clips each side by itself; returns the norms before: "gradient_norm" of all, and of each where there are
        several."""
        limit = self.config.optimizer.clip_norm
        sides = self.module.sides().items()
        norms = {name: float(self.accelerator.clip_grad_norm_(parameters, limit)) for name, parameters in sides}
        if broken := [name for name, norm in norms.items() if not math.isfinite(norm)]:
            raise TrainingError(self._not_finite("the gradient", f"of the {', '.join(broken)}", batch))
        several = {f"gradient_norm.{name}": norm for name, norm in norms.items()} if len(norms) > 1 else {}
        return {"gradient_norm": math.hypot(*norms.values()), **several}

    def _now_and_then(
        self, stage: StageSettings, end: int, data: TrainingData, sampler: ClipSampler, optimizer: Any, scheduler: Any
    ) -> None:
        """Validation, pictures and checkpoints, where they are due."""
        run, last = self.config.run, self.step == end
        due = lambda every: last or (every > 0 and self.step % every == 0)  # noqa: E731
        if due(run.validate_every):
            self._validate(data, stage)
        if data.validation is not None and due(run.draw_every) and self.accelerator.is_main_process:
            draw_samples(self._averaged(), data, self.folder / "pictures", self.step)
            if self.speaker is not None:
                from aln_p3_core.training.sample_texts import write_texts

                with self.speaker.averaged():
                    write_texts(self.speaker.module, self._averaged(), data, self.folder / "texts", self.step)
        if due(run.checkpoint_every) or self.stopped:
            self._save(sampler, optimizer, scheduler)

    def _validate(self, data: TrainingData, stage: StageSettings) -> None:
        with nullcontext() if self.speaker is None else self.speaker.averaged():
            self._measure(data, stage)

    def _measure(self, data: TrainingData, stage: StageSettings) -> None:
        measures: dict[str, float] = {}
        if data.validation is not None:
            measures = validate(
                self._averaged(),
                data.validation,
                data.chosen,
                loss=self._own_loss(stage),
                device=self.accelerator.device,
                precision=self.config.run.precision,
                process=(self.accelerator.process_index, self.accelerator.num_processes),
                gather=gather_object if self.accelerator.num_processes > 1 else list,
            )
        # Without anything to choose by, the newest is the best.
        measure = measures.get(self.config.run.best_by, math.nan)
        # Of equals the newest: while the driver is frozen its measures stay as they are, and the explainer gets better.
        better = not self.best or measure <= self.best["measure"]
        if better and math.isfinite(measure):
            self.best = {"measure": measure, "step": self.step}
        if self._log is not None:
            self._export("last", measures)
            if better:
                self._export("driver", measures)
            if measures:
                self._log.add("validation", self.step, measures)
                told = ", ".join(
                    f"{name} {value:.3f}" for name, value in measures.items() if not name.startswith("loss.")
                )
                tqdm.write(f"{stage.name}, step {self.step}: {told}{' (best so far)' if better else ''}")
            plot_run(self.folder)

    def _own_loss(self, stage: StageSettings) -> BatchLoss:
        """The stage's loss of what this process sees, whatever the others do."""
        criterion, speaker = copy.copy(self.module.criterion), self.speaker
        criterion.normaliser = lambda counts: counts

        @torch.no_grad()
        def loss(outputs: DriverOutputs, batch: TrainingBatch) -> dict[str, float]:
            found: dict[str, float] = {}
            if stage.plan or stage.perception_weight > 0:
                result = criterion(outputs, batch.targets, plan=stage.plan, perception_weight=stage.perception_weight)
                found = {"loss": float(result.total), **{name: float(value) for name, value in result.terms.items()}}
            return found if speaker is None else found | speaker.losses(outputs, batch, stage)

        return loss

    def _export(self, name: str, measures: dict[str, float]) -> None:
        """Averaged weights as a checkpoint that drives."""
        settings = json.dumps(self._settings["training"], sort_keys=True)
        extra = {
            "description": f"{self.driver.name}, trained {self.step} steps (seed {self.config.run.seed})",
            "training": settings,
            "training_steps": str(self.step),
            "validation": json.dumps(measures),
            "commit": str(self._hardware["commit"]),
        }
        state = self._averaged().state_dict()
        if self._init is not None:
            state = in_types_of(self._init, state)
        digest = save_driver(self.folder / f"{name}.safetensors", state, self.driver, extra)
        if self.speaker is not None:
            path = self.folder / ("explainer.safetensors" if name == "driver" else f"{name}_explainer.safetensors")
            self.speaker.export(path, digest, extra)

    def _save(self, sampler: ClipSampler, optimizer: Any, scheduler: Any) -> None:
        if self.accelerator.is_main_process:
            state = TrainingState(
                self.step,
                self._settings,
                self.module.saved_state(),
                self.average.state_dict()
                | ({} if self.speaker is None else named(self.speaker.state_dict(), _SPEAKER)),
                optimizer.state_dict(),
                scheduler.state_dict(),
                sampler.state_dict(),
                self.best,
                self.seconds,
            )
            save_state(self.folder / "checkpoints", state, self.config.run.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _averaged(self) -> DriverNetwork:
        network: DriverNetwork = self.average.module  # type: ignore[assignment]  # typed as any module
        return network.eval()

    def _loader(self, data: TrainingData, sampler: ClipSampler) -> DataLoader[Any]:
        workers = self.config.data.workers
        return DataLoader(
            data.clips,
            batch_sampler=sampler,
            collate_fn=collate_clips,
            num_workers=workers,
            prefetch_factor=self.config.data.prefetch if workers else None,
            worker_init_fn=begin_reader,
            pin_memory=False,
        )

    def _checked(self, loss: Tensor, terms: dict[str, Tensor], batch: TrainingBatch) -> dict[str, float]:
        """Terms and "loss" as numbers, means over all processes. Raises TrainingError when one is no number."""
        names = list(terms)
        vector = torch.stack([loss.detach(), *(terms[name].detach() for name in names)]).float()
        own = torch.isfinite(vector)
        if self._anyone(not bool(own.all())):
            broken = [name for name, fine in zip(["loss", *names], own.tolist(), strict=True) if not fine]
            told = f"terms {', '.join(broken)}" if broken else "in another process, which names it"
            raise TrainingError(self._not_finite("the loss", told, batch))
        mean = self._mean_over_processes(vector).tolist()
        return {"loss": mean[0], **dict(zip(names, mean[1:], strict=True))}

    def _not_finite(self, what: str, told: str, batch: TrainingBatch) -> str:
        tokens = ", ".join(target.token for target in batch.targets)
        return (
            f"{what} is not finite at step {self.step + 1}: {told + '; ' if told else ''}samples {tokens}. The last "
            "checkpoint is whole, but --resume would come here again: begin a new run with a smaller "
            "optimizer.learning_rate (--init takes the weights of a driver along), or look at these samples"
        )

    def _mean_over_processes(self, vector: Tensor) -> Tensor:
        return vector if self.accelerator.num_processes == 1 else self.accelerator.reduce(vector.clone(), "mean")

    def _anyone(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.accelerator.num_processes == 1:
            return flag
        told = torch.tensor([float(flag)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum").item() > 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop, self.stop_signal = True, number

    def _write_card(self, data: TrainingData, state: str) -> None:
        """`run.json`, by the main process."""
        if not self.accelerator.is_main_process:
            return
        rows = [row for row in read_rows(self.folder / "log.jsonl") if row["kind"] == "train"]
        card = {
            "state": state,
            "step": self.step,
            "best": self.best,
            "data": [str(dataset.root) for dataset in data.datasets],
            "clips": len(data.clips),
            "processes": self.accelerator.num_processes,
            "cost": {
                "wall_s": round(self.seconds, 1),
                "samples": self.step * self.config.run.batch_size,
                **speed(rows, self.config.run.batch_size),
            },
            "hardware": self._hardware,
            # Of all code that had a part in it.
            "commits": list(dict.fromkeys([*self._earlier_commits, str(self._hardware["commit"])])),
            **self._settings,
        }
        write_json(self.folder / "run.json", card)
