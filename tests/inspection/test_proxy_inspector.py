"""What is seen of a proxy that runs."""

from typing import Any

from proxy.model.changes import Changes
from tests.lane import free_port

WEB = ("default", "web")


async def test_it_counts_what_there_is(run_proxy: Any, make_service: Any, make_slice: Any) -> None:
    services = (make_service(port=free_port()), make_service("other", "127.96.7.2", free_port()))
    running = await run_proxy(Changes(services=services, slices=(make_slice(80),), known_state_of="yesterday"))
    await running.listening.wait()
    statistics = running.seen.statistics()
    assert (statistics.services, statistics.frontends, statistics.unbound_frontends) == (2, 2, 0)
    assert (statistics.problems, statistics.known_state_of) == (0, "yesterday")
    assert list(running.seen.service_keys()) == [WEB, ("default", "other")]
    assert running.seen.service_report(("default", "none")) is None
    assert [worker.state for worker in running.seen.workers()] == ["running"]
    assert [lag.index for lag in running.seen.lags()] == [0]
    assert running.seen.followed() == ()


async def test_a_service_has_another_revision_when_its_report_is_another(
    run_proxy: Any, make_service: Any, make_slice: Any
) -> None:
    port = free_port()
    running = await run_proxy(Changes(services=(make_service(port=port), make_service("other", "127.96.7.2", port))))
    await running.listening.wait()
    before = [running.seen.revision_of(key) for key in (WEB, ("default", "other"))]
    running.proxy._synchronizer.apply(Changes(slices=(make_slice(80),)))
    now = [running.seen.revision_of(key) for key in (WEB, ("default", "other"))]
    assert (now[0] == before[0], now[1] == before[1]) == (False, True)


async def test_a_frontend_that_cannot_listen_is_another_revision(
    run_proxy: Any, make_service: Any, make_slice: Any
) -> None:
    running = await run_proxy(Changes(services=(make_service(address="203.0.113.1", port=free_port()),)))
    await running.listening.wait()
    assert running.seen.statistics().unbound_frontends == 1
    (failure,) = running.proxy._reconciler.failures.values()
    assert failure in running.seen.revision_of(WEB)
    assert [problem.reason for problem in running.seen.problems()] == ["FailedToListen"]


async def test_the_configuration_is_the_one_in_force(run_proxy: Any, make_service: Any) -> None:
    running = await run_proxy(Changes(), scheduler="lc")
    await running.listening.wait()
    assert running.seen.configuration["scheduler"] == "lc"
