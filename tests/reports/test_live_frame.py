"""Frames in pieces are the frame."""

import json

import msgspec
import pytest

from proxy.admin.service_view import service_view
from proxy.reports.live_frame import EndpointCounts, Frame, frame_pieces
from tests.admin.inspected import service_report


def frame(services: int, counts: int) -> Frame:
    views = {f"default/s{number}": service_view(service_report(f"s{number}")) for number in range(services)}
    counted = {f"p{number}": {0: EndpointCounts(1), 3: EndpointCounts(opened=number)} for number in range(counts)}
    return Frame(1.5, 0.5, {**views, "default/gone": None} if services else {}, counted, workers=())


@pytest.mark.parametrize(("services", "counts"), [(0, 0), (0, 1), (1, 0), (19, 20), (20, 21), (100, 41)])
def test_the_pieces_together_are_the_frame(services: int, counts: int) -> None:
    whole = frame(services, counts)
    assert json.loads(b"".join(frame_pieces(whole))) == json.loads(msgspec.json.encode(whole))


def test_no_piece_is_long_however_much_there_is() -> None:
    few, many = (max(map(len, frame_pieces(frame(number, number)))) for number in (30, 600))
    assert many < 1.2 * few
