"""Frames put together."""

from proxy.client.live_picture import NOTHING, LivePicture
from proxy.reports.live_frame import Frame
from tests.client.picture import PROXY, counts, endpoint, frame, service

WEB, MAIL = service("web", endpoint(1), endpoint(2)), service("mail", endpoint(3))


def test_a_snapshot_is_the_picture() -> None:
    picture = LivePicture()
    picture.take(frame(WEB, MAIL, counts={"default/web": {1: counts(active=3)}}), whole=True)
    assert picture.services == {"default/web": WEB, "default/mail": MAIL}
    assert picture.proxy == PROXY
    assert picture.counts("default/web", 0) == NOTHING
    assert picture.counts("default/web", 1) == counts(active=3)


def test_a_delta_changes_what_it_names() -> None:
    picture = LivePicture()
    picture.take(frame(WEB, MAIL, counts={"default/web": {0: counts(opened=1), 1: counts(opened=2)}}), whole=True)
    delta = Frame(time=2.0, services={"default/mail": None}, counts={"default/web": {1: counts(opened=5)}})
    picture.take(delta, whole=False)
    assert picture.services == {"default/web": WEB}
    assert picture.proxy == PROXY
    assert [picture.counts("default/web", place).opened for place in (0, 1)] == [1, 5]


def test_a_service_that_is_told_anew_has_the_counts_that_come_with_it_and_no_others() -> None:
    picture = LivePicture()
    picture.take(frame(WEB, counts={"default/web": {0: counts(opened=1), 1: counts(opened=2)}}), whole=True)
    other = service("web", endpoint(2), endpoint(4))
    delta = Frame(time=2.0, services={"default/web": other}, counts={"default/web": {0: counts(opened=2)}})
    picture.take(delta, whole=False)
    assert picture.counts("default/web", 0) == counts(opened=2)
    assert picture.counts("default/web", 1) == NOTHING


def test_what_was_touched_is_told_once() -> None:
    picture = LivePicture()
    picture.take(frame(WEB, MAIL), whole=True)
    assert picture.touched() == {"default/web", "default/mail"}
    assert picture.touched() == set()
    picture.take(Frame(time=2.0, counts={"default/web": {1: counts(opened=5)}}), whole=False)
    assert picture.touched() == {"default/web"}
    picture.take(Frame(time=3.0, services={"default/mail": None}, counts={"gone": {0: counts(1)}}), whole=False)
    assert picture.touched() == {"default/mail"}
    picture.take(frame(MAIL), whole=True)
    assert picture.touched() == {"default/web", "default/mail"}


def test_a_new_snapshot_forgets_what_it_does_not_name() -> None:
    picture = LivePicture()
    picture.take(frame(WEB, counts={"default/web": {0: counts(opened=1)}}), whole=True)
    picture.take(frame(MAIL), whole=True)
    assert list(picture.services) == ["default/mail"]
    assert picture.counts("default/web", 0) == NOTHING
