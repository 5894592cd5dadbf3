"""The fast system: an end-to-end driver after VAD, in plain torch."""

from aln_p3_core.driver.driver import Driver

__all__ = ["Driver"]
