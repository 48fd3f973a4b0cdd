"""Which demo runs already."""

import os

from proxy.demo.only_one import other_demo


def test_the_second_is_told_the_process_of_the_first_until_that_ends() -> None:
    name = f"svcproxy-test-{os.getpid()}"
    with other_demo(name) as first:
        assert first == 0
        with other_demo(name) as second:
            assert second == os.getpid()
    with other_demo(name) as third:
        assert third == 0
