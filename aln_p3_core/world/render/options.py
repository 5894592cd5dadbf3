"""How much is drawn: `RenderOptions`."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How much is drawn.

    Attributes:
        shadows: shadows of the sun.
        shadow_size: texels along a side of the shadow map (it covers 160 m).
        samples: 0, or 4 samples a pixel against jagged edges.
        noise: grain of the sensor, rain on the lens.
    """

    shadows: bool = True
    shadow_size: int = 1536
    samples: int = 0
    noise: bool = True

    def __post_init__(self) -> None:
        if self.samples not in (0, 4):
            raise ConfigError(f"samples must be 0 or 4, not {self.samples}")
