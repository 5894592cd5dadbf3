"""The program that makes the driver that ships: half precision where it fits, and nothing unsound."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from network_helpers import small_config, small_network
from safetensors import safe_open

from aln_p3_core.driver import Driver
from aln_p3_core.driver.checkpoint import checkpoint_hash, load_checkpoint, save_checkpoint, save_state
from aln_p3_core.errors import CheckpointError
from aln_p3_core.synthetic.frames import track_frames


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    import ship_driver

    return ship_driver


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small driver as a training leaves it."""
    config = small_config(ego_status="planner")
    path = tmp_path_factory.mktemp("run") / "driver.safetensors"
    save_checkpoint(path, small_network(config), config, {"description": "a run", "training_steps": "7"})
    return path


def test_entries_are_halved_where_half_precision_holds_them(program: ModuleType) -> None:
    state = {
        "matrix": torch.randn(4, 4),
        "bias": torch.randn(4),
        "count": torch.tensor([[3]]),
        "too_large": torch.tensor([[1.0, 70000.0]]),
        "too_small": torch.full((2, 2), 1e-9),
        "empty": torch.zeros(0, 2),
    }
    stored = program.halved(state)
    assert [name for name, tensor in stored.items() if tensor.dtype == torch.float16] == ["matrix", "empty"]
    assert all(torch.equal(stored[name], state[name]) for name in state if name not in ("matrix", "empty"))
    assert (stored["matrix"].float() - state["matrix"]).abs().max() <= state["matrix"].abs().max() * 2**-11
    for bad in (torch.nan, torch.inf):
        with pytest.raises(CheckpointError, match=r"not finite: matrix$"):
            program.halved({**state, "matrix": torch.tensor([[1.0, bad]])})


def test_what_is_shipped_loads_drives_and_tells_where_it_comes_from(
    program: ModuleType,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["ship_driver.py", str(trained), "--folder", str(tmp_path)])
    assert program.main() == 0
    made = tmp_path / "nano.safetensors"
    assert [path.name for path in tmp_path.iterdir()] == [made.name]
    assert made.stat().st_size < 0.7 * trained.stat().st_size

    with safe_open(made, "pt") as file:
        metadata = file.metadata()
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    config, state, before = load_checkpoint(trained)
    assert metadata["description"] == "nano, trained in the embedded world"
    assert (metadata["trained_as"], metadata["trained_sha256"]) == ("a run", before["sha256"])
    assert metadata["training_steps"] == "7"
    # One hash in the file's metadata, over what it holds, of the driver, and in what was said.
    driver = Driver.from_checkpoint(made, device="cpu", precision="fp32")
    assert checkpoint_hash(stored) == metadata["sha256"] == driver.checkpoint_hash
    said = capsys.readouterr().out
    assert re.findall(r"hash of the weights\s+(\w+)", said) == [metadata["sha256"]]
    assert re.findall(r"sha256 of the file\s+(\w+)", said) == [hashlib.sha256(made.read_bytes()).hexdigest()]
    assert "plan_offsets_B3T2" in said

    assert driver.config == config
    assert all(torch.equal(stored[name].to(tensor.dtype), tensor.half().to(tensor.dtype)) or tensor.ndim < 2
               for name, tensor in state.items())  # fmt: skip
    frame = track_frames(1)[0]
    original = Driver.from_checkpoint(trained, device="cpu", precision="fp32").infer(frame).outputs.plan_offsets_B3T2
    shipped = driver.infer(frame).outputs.plan_offsets_B3T2
    assert not torch.equal(shipped, original)
    assert torch.allclose(shipped, original, atol=0.02)


def test_what_is_unsound_or_too_large_is_refused_and_nothing_is_written(
    program: ModuleType,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "shipped" / "nano.safetensors"
    target.parent.mkdir()
    target.write_bytes(b"the one before")

    with pytest.raises(CheckpointError, match=r"'nano', not 'tiny'"):
        program.ship(trained, target, "tiny", "x")
    config, state, _ = load_checkpoint(trained)
    name = next(name for name, tensor in state.items() if tensor.ndim > 1)
    broken = tmp_path / "broken.safetensors"
    save_state(broken, {**state, name: torch.full_like(state[name], torch.nan)}, config)
    with pytest.raises(CheckpointError, match=f"not finite: {re.escape(name)}"):
        program.ship(broken, target, "nano", "x")

    monkeypatch.setattr(program, "MAX_BYTES", 1000)
    monkeypatch.setattr(sys, "argv", ["ship_driver.py", str(trained), "--folder", str(target.parent)])
    assert program.main() == 1
    assert re.search(r"ship_driver: .* MB are too much to ship", capsys.readouterr().err)
    assert target.read_bytes() == b"the one before" and len(list(target.parent.iterdir())) == 1
