"""How much a training needs on each GPU: exact for what is stored of parameters, rough for what a step keeps of them.

Activations are counted as what the network keeps for its backward pass, by orders of magnitude: within a factor of two.
"""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.config import DriverConfig

# Values kept for each pixel of a camera by a trained ResNet-50 with its norms (measured: 22 million at 224 x 224) and
# by an EfficientNet-Lite0, whose activations are computed anew in the backward pass.
_VALUES_PER_PIXEL = {"resnet50": 440.0, "efficientnet_lite0": 130.0}
# Values kept for each BEV cell and layer, over the embedding width: attentions with their sampled features. Such that
# VAD-Base in float32 needs the 50 GB a clip that Hint-AD reports of its first stage.
_VALUES_PER_CELL = 150.0
# Values kept for each token and layer of a language model, over its width (attention without a stored matrix): about
# 1 GB a text with Llama-2-7B, as Hint-AD reports of its second stage.
_VALUES_PER_TOKEN = 17.0


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes on one GPU."""

    weights: float
    gradients: float
    optimizer: float
    average: float
    activations: float

    @property
    def total(self) -> float:
        """Of everything."""
        return self.weights + self.gradients + self.optimizer + self.average + self.activations

    def sharded(self, gpus: int) -> MemoryEstimate:
        """With weights, gradients, optimiser and average split over so many GPUs, as FSDP does."""
        return MemoryEstimate(
            self.weights / gpus, self.gradients / gpus, self.optimizer / gpus, self.average / gpus, self.activations
        )


def estimate(trained: int, frozen_bytes: float, activations: float) -> MemoryEstimate:
    """Trained parameters are float32, with a gradient, AdamW's two moments and an average; the frozen ones take
    `frozen_bytes` together."""
    return MemoryEstimate(4.0 * trained + frozen_bytes, 4.0 * trained, 8.0 * trained, 4.0 * trained, activations)


def driver_activations(config: DriverConfig, clips: int, value_bytes: int) -> float:
    """Bytes that the driver keeps for the backward pass of so many clips; earlier frames of a clip keep nothing."""
    image, bev = config.image, config.bev
    pixels = len(config.cameras) * image.height * image.width
    of_pictures = pixels * _VALUES_PER_PIXEL[config.backbone.kind]
    of_bev = bev.rows * bev.columns * bev.layers * config.embed_dims * _VALUES_PER_CELL
    return clips * value_bytes * (of_pictures + of_bev)


def language_activations(
    texts: int, tokens: int, *, layers: int, width: int, inner: int, vocabulary: int, value_bytes: int
) -> float:
    """Bytes that a language model keeps for the backward pass of so many texts of so many tokens.

    Args:
        texts, tokens: of one GPU's part of a step.
        layers, width, inner, vocabulary: of the model; `inner` is the width of its feed-forward part.
        value_bytes: of its precision.
    """
    of_layers = layers * (_VALUES_PER_TOKEN * width + 4.0 * inner) * value_bytes
    return texts * tokens * (of_layers + 4.0 * vocabulary)
