"""What was dropped, by pool: frontends come, move on, go and come back."""

from collections import Counter

from proxy.capture.drop_ledger import DropLedger
from proxy.capture.drop_meter import DropCause
from proxy.plan.frontend import Frontend, FrontendKey, Pool

ONE, OTHER = FrontendKey("TCP", "127.0.0.1", 80), FrontendKey("TCP", "127.0.0.2", 80)
RANGES, LOCAL = DropCause.SOURCE_RANGES, DropCause.NO_LOCAL_ENDPOINTS


class Dropping:
    """A frontend at which the test drops."""

    sockets = ()
    fault = None
    drops = True

    def __init__(self) -> None:
        self.dropped: Counter[DropCause] = Counter()

    def take_drops(self) -> Counter[DropCause]:
        taken, self.dropped = self.dropped, Counter()
        return taken

    def settle(self, frontend: Frontend, pool: Pool) -> None: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


def test_frontends_of_one_pool_are_added_up_and_read_again_and_again() -> None:
    ledger, one, other = DropLedger(), Dropping(), Dropping()
    ledger.follow("web", ONE, one)
    ledger.follow("web", OTHER, other)
    one.dropped[RANGES], other.dropped[RANGES], other.dropped[LOCAL] = 2, 3, 4
    assert ledger.of("web") == {RANGES: 5, LOCAL: 4}
    ledger.follow("web", ONE, one)
    one.dropped[RANGES] = 1
    assert ledger.of("web") == {RANGES: 6, LOCAL: 4}
    assert list(ledger.pools()) == ["web"]


def test_what_a_frontend_dropped_stays_when_it_goes_and_grows_when_it_is_back() -> None:
    ledger, first, second = DropLedger(), Dropping(), Dropping()
    ledger.follow("web", ONE, first)
    first.dropped[RANGES] = 2
    ledger.leave("web", ONE)
    first.dropped[RANGES] = 100
    assert ledger.of("web") == {RANGES: 2}
    ledger.follow("web", ONE, second)
    second.dropped[RANGES] = 1
    assert ledger.of("web") == {RANGES: 3}


def test_a_frontend_that_moves_on_leaves_what_it_dropped_to_the_pool_it_was_of() -> None:
    ledger, moving = DropLedger(), Dropping()
    ledger.follow("web", ONE, moving)
    moving.dropped[RANGES] = 2
    ledger.leave("web", ONE)
    ledger.follow("mail", ONE, moving)
    moving.dropped[RANGES] = 1
    assert (ledger.of("web"), ledger.of("mail")) == ({RANGES: 2}, {RANGES: 1})


def test_a_pool_that_is_gone_has_no_counts() -> None:
    ledger, one = DropLedger(), Dropping()
    ledger.follow("web", ONE, one)
    one.dropped[RANGES] = 2
    ledger.forget("web", lambda: None)
    assert ledger.of("web") == {}
    assert list(ledger.pools()) == []
    ledger.forget("web", lambda: None)
    ledger.leave("web", ONE)


def test_what_a_pool_has_comes_to_another_of_its_port() -> None:
    ledger, one = DropLedger(), Dropping()
    for pool in ("web/local", "web"):
        ledger.follow(pool, ONE, one)
        one.dropped[RANGES] = 2
        ledger.leave(pool, ONE)
    ledger.forget("web/local", lambda: "web")
    assert ledger.of("web") == {RANGES: 4}
    ledger.forget("web", lambda: "web/6")
    assert ledger.of("web/6") == {RANGES: 4}
    assert list(ledger.pools()) == ["web/6"]
