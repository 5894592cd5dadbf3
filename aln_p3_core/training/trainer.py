"""The training loop: one process on a CPU, one GPU, or many processes under torchrun (through accelerate).

A run is a list of stages, each with its own optimiser and schedule. Every step's chance comes from the seed and the
step's number, and every few steps everything is written down, so a run that was killed goes on to the same weights.
"""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from aln_p3_core.config import DriverConfig, to_dict
from aln_p3_core.driver.checkpoint import load_checkpoint, require_fit, save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import AlnP3Error
from aln_p3_core.runtime.allocator import keep_freed_memory
from aln_p3_core.runtime.device import hardware_card
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.checkpointing import TrainingState, load_state, save_state
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.ema import averaged
from aln_p3_core.training.forward import TrainedModule
from aln_p3_core.training.plots import plot_run
from aln_p3_core.training.run_log import RunLog, write_json
from aln_p3_core.training.sample_pictures import draw_samples
from aln_p3_core.training.sampler import ClipSampler
from aln_p3_core.training.schedule import make_optimizer, make_scheduler
from aln_p3_core.training.settings import StageSettings, TrainingConfig
from aln_p3_core.training.training_data import TrainingData, open_data, refuse_mirrored_planning
from aln_p3_core.training.validation import validate


class TrainingError(AlnP3Error):
    """A training that cannot go on: the loss is no number, or a process that reads data died."""


class Trainer:
    """One run in one folder.

    Attributes:
        folder: of the run: checkpoints, logs, plots, pictures, `driver.safetensors`.
        step: optimiser steps done, over all stages.
    """

    def __init__(
        self,
        driver: DriverConfig,
        config: TrainingConfig,
        folder: Path,
        *,
        resume: bool = False,
        init: Path | None = None,
    ) -> None:
        """
        Args:
            driver, config: recipe and training.
            folder: of the run.
            resume: go on from the folder's newest checkpoint (from the start where there is none yet).
            init: checkpoint of the same recipe to take weights from.

        Raises:
            ConfigError: for settings that contradict each other. CheckpointError: for weights that do not fit, or a
                folder that holds another run.
        """
        refuse_mirrored_planning(config)
        keep_freed_memory()
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        self.driver, self.config, self.folder = driver, config, folder
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self._settings = {"driver": to_dict(driver), "training": json.loads(json.dumps(dataclasses.asdict(config)))}
        checkpoints = folder / "checkpoints"
        if not resume and any(checkpoints.glob("step_*")):
            raise TrainingError(f"{folder} holds a run already: go on with --resume, or name another folder")
        self._state = load_state(checkpoints, self._settings) if resume else None
        torch.manual_seed(config.run.seed)
        network = DriverNetwork(driver)
        if init is not None and self._state is None:
            _, weights, _ = load_checkpoint(init)
            require_fit(weights, network.state_dict(), f"{init} does not fit the recipe {driver.name}")
            network.load_state_dict(weights)
        device = self.accelerator.device
        # Laid out as their gradients come, which also spares DDP a copy of each.
        for part in (network.backbone, network.neck):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own stubs
        self.module = TrainedModule(network, Criterion(driver, config.losses), config.run.precision).to(device)
        self.module.criterion.normaliser = self._mean_over_processes
        self.average = averaged(network, config.optimizer.ema_decay)
        self.step, self.best, self.seconds = 0, dict[str, float](), 0.0
        if self._state is not None:
            self.module.load_state_dict(self._state.weights)
            self.average.load_state_dict(self._state.average)
            self.step, self.best, self.seconds = self._state.step, self._state.best, self._state.seconds
        self._stop = False
        self._waited = 0.0

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
        main, rank = self.accelerator.is_main_process, self.accelerator.process_index
        network = self.module.network
        data = open_data(
            roots,
            network,
            self.config,
            cache=cache,
            jobs=jobs,
            process=(rank, self.accelerator.num_processes),
            wait=self.accelerator.wait_for_everyone,
            device=self.accelerator.device,
            progress=progress and main,
        )
        sampler = ClipSampler(
            data.weights,
            self.config.run.batch_size,
            seed=self.config.run.seed,
            rank=rank,
            processes=self.accelerator.num_processes,
        )
        if self._state is not None:
            sampler.load_state_dict(self._state.sampler)
        self._log = RunLog(self.folder, self.step) if main else None
        if main:
            write_json(self.folder / "run.json", self._card(data, "running"))
        total = sum(stage.steps for stage in self.config.stages)
        started = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            with tqdm(
                total=total, initial=self.step, desc=self.driver.name, unit=" steps", disable=not (progress and main)
            ) as bar:
                batches = self._batches(data, sampler)
                first = 0
                for stage in self.config.stages:
                    if self.step < first + stage.steps and not self._stop:
                        self._run_stage(stage, first, data, sampler, batches, bar)
                    first += stage.steps
        finally:
            for number, handler in started.items():
                signal.signal(number, handler)
            if self._log is not None:
                self._log.close()
        if main:
            plot_run(self.folder)
            write_json(self.folder / "run.json", self._card(data, "stopped" if self._stop else "finished"))

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
        optimizer = make_optimizer(self.module, self.config.optimizer, stage.rate)
        scheduler = make_scheduler(optimizer, self.config.optimizer, stage)
        if self._state is not None and self.step > first:
            optimizer.load_state_dict(self._state.optimizer)
            scheduler.load_state_dict(self._state.scheduler)
        self._state = None
        wrapped, optimizer = self.accelerator.prepare(self.module, optimizer)
        end = first + stage.steps
        since = time.perf_counter()
        while self.step < end and not self._stop:
            torch.manual_seed(zlib.crc32(f"{run.seed} {self.step} {self.accelerator.process_index}".encode()))
            batch = self._next(batches)
            loss, terms = wrapped(batch, stage)
            values = self._checked(loss, terms, batch)
            optimizer.zero_grad(set_to_none=True)
            self.accelerator.backward(loss)
            norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.optimizer.clip_norm)
            optimizer.step()
            scheduler.step()
            self.average.update_parameters(self.module.network)
            sampler.advance()
            self.step += 1
            now = time.perf_counter()
            self.seconds += now - since
            extras: dict[str, float] = {
                "gradient_norm": float(norm),
                "learning_rate": float(scheduler.get_last_lr()[0]),
                "samples_per_s": run.batch_size / (now - since),
                "wait_share": self._waited / (now - since),
                "epoch": sampler.epoch + sampler.position / sampler.batches_per_epoch,
            }
            values |= extras
            since = now
            if self._log is not None:
                self._log.add("train", self.step, values)
            bar.set_postfix(loss=f"{values['loss']:.3f}", wait=f"{values['wait_share']:.0%}", refresh=False)
            bar.update()
            self._stop = self._anyone(self._stop)
            self._now_and_then(stage, end, data, sampler, optimizer, scheduler)
            since = time.perf_counter()

    def _now_and_then(
        self, stage: StageSettings, end: int, data: TrainingData, sampler: ClipSampler, optimizer: Any, scheduler: Any
    ) -> None:
        """Validation, pictures and checkpoints, where they are due."""
        run, last = self.config.run, self.step == end
        due = lambda every: last or (every > 0 and self.step % every == 0)  # noqa: E731
        if data.validation is not None and due(run.validate_every):
            self._validate(data, stage)
        if data.validation is not None and due(run.draw_every) and self.accelerator.is_main_process:
            draw_samples(self._averaged(), data, self.folder / "pictures", self.step)
        if due(run.checkpoint_every) or self._stop:
            self._save(sampler, optimizer, scheduler)

    def _validate(self, data: TrainingData, stage: StageSettings) -> None:
        assert data.validation is not None
        measures = validate(
            self._averaged(),
            data.validation,
            data.chosen,
            device=self.accelerator.device,
            precision=self.config.run.precision,
            process=(self.accelerator.process_index, self.accelerator.num_processes),
            gather=gather_object if self.accelerator.num_processes > 1 else list,
        )
        measure = measures[self.config.run.best_by]
        better = not self.best or measure < self.best["measure"]
        if better and math.isfinite(measure):
            self.best = {"measure": measure, "step": self.step}
        if self._log is not None:
            self._log.add("validation", self.step, measures)
            self._export("last", measures)
            if better:
                self._export("driver", measures)
            plot_run(self.folder)
            told = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
            tqdm.write(f"{stage.name}, step {self.step}: {told}{' (best so far)' if better else ''}")

    def _export(self, name: str, measures: dict[str, float]) -> None:
        """Averaged weights as a checkpoint that drives."""
        settings = json.dumps(self._settings["training"], sort_keys=True)
        extra = {
            "description": f"{self.driver.name}, trained {self.step} steps (seed {self.config.run.seed})",
            "training": settings,
            "training_steps": str(self.step),
            "validation": json.dumps(measures),
            "commit": str(hardware_card(self.accelerator.device)["commit"]),
        }
        save_checkpoint(self.folder / f"{name}.safetensors", self._averaged(), self.driver, extra)

    def _save(self, sampler: ClipSampler, optimizer: Any, scheduler: Any) -> None:
        if self.accelerator.is_main_process:
            state = TrainingState(
                self.step,
                self._settings,
                self.module.state_dict(),
                self.average.state_dict(),
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

    def _batches(self, data: TrainingData, sampler: ClipSampler) -> Iterator[TrainingBatch]:
        workers = self.config.data.workers
        loader = DataLoader(
            data.clips,
            batch_sampler=sampler,
            collate_fn=collate_clips,
            num_workers=workers,
            prefetch_factor=self.config.data.prefetch if workers else None,
            pin_memory=False,
        )
        return iter(loader)

    def _next(self, batches: Iterator[TrainingBatch]) -> TrainingBatch:
        """The next batch on the device; notes how long it was waited for."""
        started = time.perf_counter()
        try:
            batch = next(batches)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                f"a process that reads data died ({error}); go on with --resume, with fewer data.workers or a smaller "
                "data.prefetch if memory ran out"
            ) from error
        self._waited = time.perf_counter() - started
        return batch.to(self.accelerator.device)

    def _checked(self, loss: Tensor, terms: dict[str, Tensor], batch: TrainingBatch) -> dict[str, float]:
        """Terms and "loss" as numbers, means over all processes. Raises TrainingError when one is no number."""
        names = list(terms)
        vector = torch.stack([loss.detach(), *(terms[name].detach() for name in names)]).float()
        own = torch.isfinite(vector)
        if self._anyone(not bool(own.all())):
            broken = [name for name, fine in zip(["loss", *names], own.tolist(), strict=True) if not fine]
            tokens = ", ".join(target.token for target in batch.targets)
            told = f"terms {', '.join(broken)}; samples {tokens}" if broken else "in another process, which names it"
            raise TrainingError(
                f"the loss is not finite at step {self.step + 1}: {told}. The last checkpoint is whole: go on from it "
                "with a smaller optimizer.learning_rate (--init), or look at these samples"
            )
        mean = self._mean_over_processes(vector).tolist()
        return {"loss": mean[0], **dict(zip(names, mean[1:], strict=True))}

    def _mean_over_processes(self, vector: Tensor) -> Tensor:
        return vector if self.accelerator.num_processes == 1 else self.accelerator.reduce(vector.clone(), "mean")

    def _anyone(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.accelerator.num_processes == 1:
            return flag
        told = torch.tensor([float(flag)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum").item() > 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    def _card(self, data: TrainingData, state: str) -> dict[str, Any]:
        samples = self.step * self.config.run.batch_size
        return {
            "state": state,
            "step": self.step,
            "best": self.best,
            "data": [str(dataset.root) for dataset in data.datasets],
            "clips": len(data.clips),
            "processes": self.accelerator.num_processes,
            "cost": {
                "wall_s": round(self.seconds, 1),
                "samples": samples,
                "samples_per_s": round(samples / self.seconds, 3) if self.seconds else None,
            },
            "hardware": hardware_card(self.accelerator.device),
            **self._settings,
        }
