"""The collector's pace, in a process of its own: it is the process's."""

import subprocess
import sys


def test_what_the_imports_brought_is_set_aside_before() -> None:
    program = (
        "import gc; from proxy.control import collector; collector.expect_growth();"
        "assert gc.get_freeze_count() > 1000; assert len(gc.get_objects()) < 100"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_what_came_while_growing_is_set_aside_and_the_ordinary_pace_returns() -> None:
    program = (
        "import gc; from proxy.control import collector; ordinary = gc.get_threshold(); collector.expect_growth();"
        "assert gc.get_threshold()[0] > 10 * ordinary[0]; before = gc.get_freeze_count();"
        "kept = [[] for _ in range(1000)]; collector.settle();"
        "assert gc.get_freeze_count() - before > 1000; assert gc.get_threshold()[0] < 10_000; assert gc.isenabled()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
