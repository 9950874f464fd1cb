"""Print the lowest version of every dependency that pyproject.toml admits, as constraints for pip.

The floors are written in pyproject.toml alone. What only development needs has no say.
"""

import re
import tomllib
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*>=(?P<floor>[0-9.]+)")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = {
    name: listed for name, listed in project["optional-dependencies"].items() if name not in ("dev", "beside")
}
for requirement in [*project["dependencies"], *(line for listed in extras.values() for line in listed)]:
    match = REQUIREMENT.match(requirement)
    if match is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} names no lowest version as name>=version")
    print(f"{match['name']}=={match['floor']}")
