"""From stored frames to the network's inputs, with exactly the numbers that `Driver` computes on the road."""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.batch import ClipFrame


def driver_inputs(
    frame: ClipFrame, config: DriverConfig, device: torch.device | str, previous_bev: Tensor | None
) -> DriverInputs:
    """Network inputs of one frame of every clip, float32 pictures.

    Args:
        frame: of the batch. Where it holds features, the pictures come out as zeros without memory of their own:
            only their size is read (`image_prefix` hands out the features).
        config: recipe.
        device: where the network is.
        previous_bev: BEV maps [B, R, S, D] of the clips' frames before this one, or None for the first. Samples
            whose `history_valid_B` is False do not read theirs.
    """
    frame = frame.to(device)
    has_memory = previous_bev is not None
    return DriverInputs(
        images_BNCHW=_images(frame, config),
        model2img_BN44=frame.model2img_BN44,
        camera_valid_BN=frame.camera_valid_BN,
        prev_bev_BRSD=previous_bev,
        T_prev_cur_B44=frame.T_prev_cur_B44 if has_memory else None,
        history_valid_B=frame.history_valid_B if has_memory else None,
        can_bus_B18=frame.can_bus_B18 if config.ego_status == "bev" else None,
        ego_status_B8=frame.ego_status_B8 if config.ego_status == "planner" else None,
    )


def image_prefix(frame: ClipFrame, inputs: DriverInputs, network: DriverNetwork) -> Tensor:
    """Output of the backbone's frozen part, for `DriverNetwork.features_from_prefix`: the stored one, else computed.

    Args:
        frame: of the batch.
        inputs: `driver_inputs` of it.
        network: computes it, where the frame holds pictures.
    """
    if frame.features is None:
        return network.image_prefix(inputs.images_BNCHW)
    features = frame.features.to(inputs.images_BNCHW.device, network.dtype, non_blocking=True)
    return features.contiguous(memory_format=torch.channels_last)


def normalised(pixels_BNHWC: Tensor, rows_BN: Tensor, config: DriverConfig) -> Tensor:
    """Pictures [B, N, 3, H, W], float32, normalised; rows of padding are zero, as on the road."""
    height, width = pixels_BNHWC.shape[2:4]
    device = pixels_BNHWC.device
    # Whole rows at once: over three channels alone, the inner loops would be three numbers long.
    mean = torch.tensor(config.image.mean, device=device).repeat(width)
    inverse_std = (1 / torch.tensor(config.image.std, device=device)).repeat(width)
    lines = (pixels_BNHWC.flatten(3) - mean).mul_(inverse_std)
    lines.masked_fill_((torch.arange(height, device=device) >= rows_BN[..., None])[..., None], 0.0)
    return lines.unflatten(3, (width, 3)).movedim(-1, 2)


def _images(frame: ClipFrame, config: DriverConfig) -> Tensor:
    if frame.pixels_BNHWC is not None:
        return normalised(frame.pixels_BNHWC, frame.rows_BN, config)
    batch, cameras = frame.rows_BN.shape
    size = (batch, cameras, 3, config.image.height, config.image.width)
    return torch.zeros((), device=frame.rows_BN.device).expand(size)
