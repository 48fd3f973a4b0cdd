"""A complaint is a line now and then, however often there is reason for it."""

import logging

import pytest

from proxy.dataplane.complaint import INTERVAL, Complaint


def test_it_is_said_once_in_a_while_with_how_often_it_happened(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("test"))
    for now in (0.0, 0.1, INTERVAL - 0.1, INTERVAL, INTERVAL + 1.0, 3 * INTERVAL):
        complaint.make(now, "no room")
    assert [record.getMessage() for record in caplog.records] == [
        "no room",
        "no room (3 times since this was said last)",
        "no room (2 times since this was said last)",
    ]
