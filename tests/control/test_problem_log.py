"""Problems are said once, and their end as well."""

import pytest

from proxy.control.problem_log import ProblemLog
from proxy.model.problem import Problem

ONE, OTHER = Problem("is wrong", where="a.yaml"), Problem("is wrong too", where="b.yaml")


def test_a_problem_that_stays_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    log = ProblemLog()
    log.report([ONE])
    log.report([ONE, OTHER])
    log.report([OTHER, ONE])
    assert [record.message for record in caplog.records] == [str(ONE), str(OTHER)]


def test_a_problem_that_is_gone_is_mended_and_new_when_it_returns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = ProblemLog()
    for problems in ([ONE], [], [], [ONE]):
        log.report(problems)
    assert [record.message for record in caplog.records] == [str(ONE), f"mended: {ONE}", str(ONE)]


def test_lines_come_in_one_order(caplog: pytest.LogCaptureFixture) -> None:
    ProblemLog().report({OTHER, ONE})
    assert [record.message for record in caplog.records] == sorted([str(ONE), str(OTHER)])
