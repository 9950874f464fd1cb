"""`pytest -p tests.plugins.no_skips`: for a run in which nothing may be missing, such as CI's.

A test that skips itself because it needs something fails there, so that a green run has run everything.
The reasons that count begin with "needs "; a parameter set that came out empty counts as well, for that is
what a test over the files of an absent directory looks like. Other skips (a platform, a version) stay skips.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_if_something_is_missing((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Whole modules that skip themselves."""
    return _failed_if_something_is_missing((yield))


def _failed_if_something_is_missing(report: Report) -> Report:
    # A skip's longrepr is (path, line, reason); an expected failure, also "skipped", has another.
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(("needs ", "got empty parameter set")):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: skipped where nothing may be missing: {reason}"
    return report
