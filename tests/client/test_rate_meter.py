"""Rates from two looks."""

from proxy.client.live_picture import LivePicture
from proxy.client.rate_meter import RateMeter, ServiceLine
from proxy.reports.live_frame import Frame
from tests.client.picture import counts, endpoint, frame, service

POOL = "default/web"


class Looking:
    """A meter and the picture that it looks at."""

    def __init__(self) -> None:
        self.picture = LivePicture()
        self.meter = RateMeter()

    def at(self, now: float, places: list[int], opened: list[int]) -> ServiceLine:
        """The line of the one Service, whose endpoints have so many opened, and ten bytes in and twenty out each."""
        rows = dict(enumerate(counts(1, number, 10 * number, 20 * number) for number in opened))
        self.picture.take(frame(service("web", *map(endpoint, places)), counts={POOL: rows}), whole=True)
        (line,) = self.meter.measure(self.picture, now)
        return line


def test_the_first_look_knows_no_rate() -> None:
    line = Looking().at(5.0, [1, 2], [100, 200])
    assert (line.opened, line.active, line.opened_rate, line.received_rate) == (300, 2, 0.0, 0.0)


def test_growth_is_divided_by_the_time_that_it_took() -> None:
    looking = Looking()
    looking.at(5.0, [1, 2], [100, 200])
    line = looking.at(7.0, [1, 2], [110, 220])
    assert [each.opened_rate for each in line.endpoints] == [5.0, 10.0]
    assert (line.opened_rate, line.received_rate, line.sent_rate) == (15.0, 150.0, 300.0)


def test_nothing_new_is_no_rate() -> None:
    looking = Looking()
    looking.at(5.0, [1], [100])
    assert looking.at(6.0, [1], [100]).opened_rate == 0.0


def test_an_endpoint_that_joins_with_counts_is_no_burst() -> None:
    looking = Looking()
    looking.at(5.0, [1], [100])
    assert looking.at(6.0, [1, 2], [100, 5000]).opened_rate == 0.0


def test_an_endpoint_keeps_its_count_at_another_place() -> None:
    looking = Looking()
    looking.at(5.0, [1, 2], [100, 200])
    line = looking.at(6.0, [2], [203])
    assert line.opened_rate == 3.0


def test_counts_that_began_anew_are_no_rate_below_zero() -> None:
    looking = Looking()
    looking.at(5.0, [1], [100])
    assert looking.at(6.0, [1], [7]).opened_rate == 0.0


def test_services_come_by_name() -> None:
    picture = LivePicture()
    picture.take(frame(service("web"), service("api"), service("db", namespace="data")), whole=True)
    assert [line.name for line in RateMeter().measure(picture, 1.0)] == ["data/db", "default/api", "default/web"]


def test_what_no_frame_names_any_more_is_at_rest_and_goes_on_later() -> None:
    picture, meter = LivePicture(), RateMeter()
    rates = []
    picture.take(frame(service("web", endpoint(1)), service("api", endpoint(2))), whole=True)
    meter.measure(picture, 1.0)
    for moment, opened in enumerate((10, None, None, 30), start=2):
        if opened is not None:
            picture.take(Frame(time=1.0, counts={POOL: {0: counts(opened=opened)}}), whole=False)
        rates.append([line.opened_rate for line in meter.measure(picture, float(moment))])
    assert rates == [[0.0, 10.0], [0.0, 0.0], [0.0, 0.0], [0.0, 20.0]]


def test_a_service_that_leaves_has_no_line() -> None:
    picture, meter = LivePicture(), RateMeter()
    picture.take(frame(service("web", endpoint(1)), service("api")), whole=True)
    meter.measure(picture, 1.0)
    picture.take(Frame(time=1.0, services={"default/web": None}), whole=False)
    assert [line.name for line in meter.measure(picture, 2.0)] == ["default/api"]
