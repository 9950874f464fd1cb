"""Fail unless the wheel that argv names holds exactly the checkout's files of the packages.

Run in the checkout. What the product cannot do without is named besides: git may have lost it too.
"""

import re
import subprocess
import sys
from zipfile import ZipFile

MUST = (
    r"recorder/py\.typed",
    r"recorder_cli/py\.typed",
    r"recorder/FORMAT\.md",
    r"recorder/analytics/sql/.+\.sql",
    r"recorder/report/assets/page\.html",
    r"recorder/report/assets/.+\.js",
    r"recorder/report/assets/charts/.+\.json",
    r"recorder/report/assets/LICENCES\.txt",
    r"recorder/report/sql/.+\.sql",
    r"recorder/fixtures/.+\.jsonl",
)

git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "recorder", "cli", "fixtures"]
checkout = subprocess.run(git, capture_output=True, text=True, check=True).stdout.splitlines()
expected = {re.sub("^fixtures/", "recorder/fixtures/", path.removeprefix("cli/")) for path in checkout}
actual = {name for name in ZipFile(sys.argv[1]).namelist() if ".dist-info/" not in name}

wrong = [f"missing: {name}" for name in sorted(expected - actual)]
wrong += [f"does not belong there: {name}" for name in sorted(actual - expected)]
wrong += [f"nothing like {must}" for must in MUST if not any(re.fullmatch(must, name) for name in actual)]
if wrong:
    raise SystemExit("\n".join([f"{sys.argv[1]}:", *wrong]))
print(f"{len(actual)} files, as in the checkout")
