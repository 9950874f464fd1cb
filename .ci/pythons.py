"""Print every CPython 3 release on this machine, one a line, oldest first: its minor version, then its path.

Looked for on the path and where pyenv keeps them. Each is run, because a name on the path may have no Python
behind it; a release candidate is no release.
"""

import os
import re
import subprocess
from pathlib import Path

PROBE = """
import sys
if sys.implementation.name == "cpython" and sys.version_info[3] == "final":
    print(sys.version_info[1], sys.version_info[2], sys.executable)
"""

found: set[tuple[int, int, str]] = set()
directories = [Path(entry) for entry in os.environ["PATH"].split(os.pathsep)]
directories += Path.home().glob(".pyenv/versions/*/bin")
for directory in directories:
    for candidate in directory.glob("python3.*"):
        if re.fullmatch(r"python3\.\d+", candidate.name):
            run = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, check=False)
            if run.returncode == 0 and run.stdout:
                minor, micro, path = run.stdout.strip().split(" ", 2)
                found.add((int(minor), int(micro), path))
for minor, _, path in sorted(found):
    print(minor, path)
