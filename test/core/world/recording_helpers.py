"""How the data set of the fixture `recorded_root` (conftest.py) is recorded."""

from aln_p3_core.world.recorder.settings import RecordSettings
from aln_p3_core.world.recorder.take import SceneTask

RECORDED = RecordSettings(duration_s=2.0)
RECORDED_TASKS = (SceneTask("mini", 0), SceneTask("mini", 1))
