"""Which way is chosen, and what is said where it is not to be had."""

import logging

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.capture import capture_choice
from proxy.capture.bind_capture import BindCapture
from proxy.capture.capture_choice import automatic_capture, required_lookup
from proxy.capture.lookup_capture import LookupCapture
from proxy.startup_error import StartupError


@pytest.fixture
def not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(width: int) -> None:
        raise BpfError("make the BPF map svc_entries", 1)

    monkeypatch.setattr(capture_choice, "LookupCapture", refuse)


@pytest.mark.usefixtures("not_permitted")
def test_what_was_asked_for_and_is_not_permitted_is_one_line_that_says_what_to_grant() -> None:
    with pytest.raises(StartupError, match=r"capture: sklookup: .*capabilities BPF and NET_ADMIN") as raised:
        required_lookup(2)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.usefixtures("not_permitted")
def test_few_frontends_are_bound_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    bind = BindCapture(2, 900)
    assert automatic_capture(bind, 450) is bind
    assert caplog.text == ""


@pytest.mark.usefixtures("not_permitted")
def test_too_many_frontends_are_bound_as_far_as_they_fit_where_nothing_else_is_permitted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bind = BindCapture(2, 900)
    assert automatic_capture(bind, 451) is bind
    assert "451 frontends take 902 file descriptors to bind, 900 are to be had" in caplog.text
    assert "BPF and NET_ADMIN" in caplog.text


@pytest.mark.requires("ip")
def test_too_many_frontends_are_looked_up_where_that_is_permitted(
    network_namespace: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    capture = automatic_capture(BindCapture(2, 900), 451)
    if not isinstance(capture, LookupCapture):
        pytest.skip(f"not permitted: {caplog.text}")
    capture.close()
    assert "capturing by sklookup" in caplog.text
