"""Words about a drive, derived from its facts, and the facts read back from the words (docs/language.md)."""

from aln_p3_core.world.language.annotate import SceneAnnotations, annotate_scene

__all__ = ["SceneAnnotations", "annotate_scene"]
