"""benchmarks/standalone.py, from its file: some packages install a `benchmarks` of their own."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.standalone import Cluster as Cluster
    from benchmarks.standalone import Process as Process
    from benchmarks.standalone import cluster as cluster
else:
    _spec = spec_from_file_location("standalone", Path(__file__).parents[3] / "benchmarks" / "standalone.py")
    _module = sys.modules["standalone"] = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    Cluster, Process, cluster = _module.Cluster, _module.Process, _module.cluster
