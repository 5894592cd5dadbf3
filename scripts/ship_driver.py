"""Writes a driver that ships with the package from a training run: half precision, checked, below 30 MB.

Usage: python scripts/ship_driver.py RUN/driver.safetensors [--name nano] [--description TEXT]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.driver import Driver
from aln_p3_core.driver.checkpoint import load_checkpoint, recipe_metadata, save_state
from aln_p3_core.errors import AlnP3Error, CheckpointError
from aln_p3_core.runtime.export_check import compare_drivers
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_core.weights import SHIPPED
from aln_p3_core.whole_files import written_whole

FOLDER = Path(__file__).resolve().parents[1] / "aln_p3_core" / "weights"
#: What the package may grow by.
MAX_BYTES = 30_000_000
#: Rounding to half precision costs 2^-11 of a value. Beyond this share of its largest value an entry stays as it is:
#: it lies outside the range of half precision.
_MAX_LOSS = 1e-3


def main() -> int:
    """Writes the file and says what it cost; 1 when it was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", choices=SHIPPED, default=SHIPPED[0])
    parser.add_argument("--description", help="one line for people [default: NAME, trained in the embedded world]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where it goes [default: into the package]")
    chosen = parser.parse_args()
    description = chosen.description or f"{chosen.name}, trained in the embedded world"
    try:
        ship(chosen.checkpoint, chosen.folder / f"{chosen.name}.safetensors", chosen.name, description)
    except AlnP3Error as error:
        print(f"ship_driver: {error}", file=sys.stderr)
        return 1
    return 0


def ship(checkpoint: Path, target: Path, recipe: str, description: str) -> None:
    """Writes `target` from `checkpoint`, and prints sizes, hashes and differences.

    Raises:
        CheckpointError: for a file that is no sound checkpoint of the recipe, and for one that is too large.
    """
    config, state, metadata = load_checkpoint(checkpoint, expected_recipe=recipe)
    stored = halved(state)
    own = {*recipe_metadata(config), "sha256"}
    extra = {key: value for key, value in metadata.items() if key not in own} | {
        "description": description,
        "trained_as": metadata.get("description", checkpoint.name),
        "trained_sha256": metadata["sha256"],
    }
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        digest = save_state(made, stored, config, extra)
        data = made.read_bytes()
        if len(data) > MAX_BYTES:
            raise CheckpointError(
                f"{len(data) / 1e6:.1f} MB are too much to ship; {MAX_BYTES / 1e6:.0f} MB is the limit"
            )
        before, after = (Driver.from_checkpoint(path, device="cpu", precision="fp32") for path in (checkpoint, made))
        differences = compare_drivers(before, after, track_frames(1))
        with written_whole(target) as temporary:
            temporary.write_bytes(data)
    kept = sum(tensor.dtype == torch.float32 and tensor.ndim > 1 for tensor in stored.values())
    half = sum(tensor.dtype == torch.float16 for tensor in stored.values())
    print(f"{target}: {len(data) / 1e6:.2f} MB (from {checkpoint.stat().st_size / 1e6:.2f} MB)")
    print(f"  {half} entries in half precision, {kept} of two or more dimensions in single because half loses too much")
    print(f"  sha256 of the file     {hashlib.sha256(data).hexdigest()}")
    print(f"  hash of the weights    {digest}")
    print("  largest difference of the outputs on one painted frame, and their largest value:")
    for row in differences:
        print(f"    {row.name:<24} {row.max_abs_error:10.3e} {row.magnitude:12.4g}")


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of two or more dimensions as float16, where that is within its range; all others as they are.

    Biases, norms and running statistics are few and matter in full.

    Raises:
        CheckpointError: for entries that are not finite.
    """
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"the checkpoint has entries that are not finite: {', '.join(broken)}")
    stored = {}
    for name, tensor in state.items():
        half = tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
        largest = float(tensor.abs().max()) if tensor.numel() else 0.0
        loss = float((half.double() - tensor.double()).abs().max()) if tensor.numel() else 0.0
        stored[name] = half if loss <= _MAX_LOSS * largest else tensor
    return stored


if __name__ == "__main__":
    sys.exit(main())
