"""The explainer node's parameters: one field each. config/explainer.yaml repeats them for people to edit."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.errors import ConfigError
from aln_p3_ros.parameters import check_choices, setting


@dataclass(frozen=True)
class ExplainerSettings:
    """Settings of `explainer_node`; the text of each field is its parameter's description."""

    # The model.
    explainer: str = setting(
        "nano", "The explainer: nano, where it ships with the package, or the path of an explainer's .safetensors."
    )
    device: str = setting("auto", "Where the model runs: auto, cpu, cuda or cuda:N.")
    threads: int = setting(1, "CPU threads of the model in this process; 0: as many as cores.", minimum=0, maximum=256)
    nice: int = setting(
        10, "Priority of this process: 0 is as the driver, 19 yields to everybody.", minimum=0, maximum=19
    )

    # What is said.
    max_age_s: float = setting(
        5.0, "A plan older than this is not explained, and words about one are dropped, s.", minimum=0.1, maximum=600.0,
        live=True,
    )  # fmt: skip
    max_new_tokens: int = setting(
        64, "An explanation or answer is cut off after so many tokens (about a word each).", minimum=1, maximum=1024,
        live=True,
    )  # fmt: skip
    captions: int = setting(
        2, "Objects that are described with every explanation, best score first.", minimum=0, maximum=32, live=True
    )
    check: bool = setting(True, "Compare what is said with the plan and the objects.", live=True)

    # Questions.
    ask_time_limit_s: float = setting(
        10.0, "Time limit of a question that brings none, s of wall clock.", minimum=0.1, maximum=600.0, live=True
    )

    # What is told about it.
    diagnostics_rate_hz: float = setting(2.0, "Rate of /diagnostics, Hz.", minimum=0.5, maximum=50.0, read_only=True)
    hardware_id: str = setting("aln_p3", "Hardware id in diagnostics.", read_only=True)

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        if not self.explainer:
            raise ConfigError("explainer must name an explainer that ships (nano), or the file of one")
