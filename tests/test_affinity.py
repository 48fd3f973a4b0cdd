"""The ClientIP affinity table, by example and against an ordered dictionary that follows the same rules."""

from collections import Counter, OrderedDict
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.affinity import MOST_ENTRIES, AffinityEntry, AffinityGroup, AffinityStatistics, AffinityTable

ALICE, BOB, CAROL = 0x7F000001, 0x7F000002, 0x7F000003


def test_an_unknown_client_is_bound_to_nothing() -> None:
    table = AffinityTable()
    assert table.lookup(table.open_group(10), ALICE, 0.0) == 0


def test_a_client_keeps_its_backend() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    table.store(group, BOB, 8, 0.0)
    assert [table.lookup(group, client, 1.0) for client in (ALICE, BOB, CAROL)] == [7, 8, 0]


def test_a_new_choice_replaces_the_old_one() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    table.store(group, ALICE, 9, 1.0)
    assert table.lookup(group, ALICE, 2.0) == 9
    assert len(table) == 1


def test_a_peek_is_no_use() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    before = table.statistics()
    assert table.peek(group, ALICE, 9.0) == AffinityEntry(group, ALICE, 7, 1.0)
    assert table.peek(group, BOB, 9.0) is None
    assert table.peek(group, ALICE, 10.0) is None
    assert table.statistics() == before
    assert table.lookup(group, ALICE, 10.0) == 0


def test_groups_know_nothing_of_each_other() -> None:
    table = AffinityTable()
    web, mail = table.open_group(10), table.open_group(10)
    table.store(web, ALICE, 7, 0.0)
    assert table.lookup(mail, ALICE, 0.0) == 0


@pytest.mark.parametrize("client", [0, 1, 2**32 - 1, 2**64, 2**128 - 1])
def test_any_address_of_either_family_is_a_client(client: int) -> None:
    table = AffinityTable()
    group, other = table.open_group(10), table.open_group(10)
    table.store(group, client, 7, 0.0)
    assert table.lookup(group, client, 0.0) == 7
    assert table.lookup(group, client ^ 1, 0.0) == 0
    assert table.lookup(other, client, 0.0) == 0


@pytest.mark.parametrize(("age", "kept"), [(0.0, True), (9.999, True), (10.0, False), (10.5, False)])
def test_an_entry_lives_while_its_whole_seconds_are_below_the_timeout(age: float, kept: bool) -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 100.0)
    assert table.lookup(group, ALICE, 100.0 + age) == (7 if kept else 0)
    assert len(table) == kept


def test_every_use_starts_the_timeout_anew() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    assert [table.lookup(group, ALICE, now) for now in (9.0, 18.0, 27.0, 37.0)] == [7, 7, 7, 0]


def test_a_changed_timeout_judges_entries_that_exist() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    table.store(group, BOB, 8, 0.0)
    group.timeout = 30
    assert table.lookup(group, ALICE, 20.0) == 7
    group.timeout = 5
    assert table.lookup(group, BOB, 20.0) == 0


def test_a_forgotten_client_is_bound_to_nothing() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    table.forget(group, ALICE)
    table.forget(group, BOB)
    assert table.lookup(group, ALICE, 0.0) == 0
    assert len(table) == 0


def test_closing_a_group_ends_its_entries_and_no_others() -> None:
    table = AffinityTable()
    web, mail = table.open_group(10), table.open_group(10)
    table.store(web, ALICE, 7, 0.0)
    table.store(mail, ALICE, 8, 0.0)
    table.close_group(web)
    assert table.lookup(web, ALICE, 0.0) == 0
    assert table.lookup(mail, ALICE, 0.0) == 8
    assert table.lookup(table.open_group(10), ALICE, 0.0) == 0


def test_who_was_not_used_since_it_came_makes_room_before_who_was() -> None:
    table = AffinityTable(capacity=2)
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    table.store(group, BOB, 8, 0.0)
    table.lookup(group, ALICE, 1.0)
    table.store(group, CAROL, 9, 2.0)
    assert [table.lookup(group, client, 2.0) for client in (ALICE, BOB, CAROL)] == [7, 0, 9]
    assert table.statistics().evictions == 1


def test_each_group_is_told_of_its_own_evictions() -> None:
    table = AffinityTable(capacity=2)
    told: list[str] = []
    web = table.open_group(10, lambda: told.append("web"))
    mail = table.open_group(10, lambda: told.append("mail"))
    gone = table.open_group(10, lambda: told.append("gone"))
    table.store(web, ALICE, 7, 0.0)
    table.store(mail, ALICE, 8, 0.0)
    table.store(mail, BOB, 8, 0.0)
    assert told == ["web"]
    table.store(mail, CAROL, 8, 0.0)
    assert told == ["web", "mail"]
    table.store(gone, ALICE, 9, 20.0)
    table.close_group(gone)
    table.store(web, BOB, 7, 20.0)
    assert told == ["web", "mail"]


def test_where_everybody_was_used_the_first_in_line_makes_room_after_a_bounded_search() -> None:
    table = AffinityTable(capacity=20)
    group = table.open_group(10)
    for client in range(20):
        table.store(group, client, 7, 0.0)
    for client in range(20):
        table.lookup(group, client, 1.0)
    table.store(group, 20, 8, 2.0)
    assert len(table) == 20
    assert [client for client in range(21) if not table.lookup(group, client, 2.0)] == [9]


def test_the_line_survives_forgetting_its_last_entry() -> None:
    table = AffinityTable(capacity=3)
    group = table.open_group(10)
    for client in (ALICE, BOB, CAROL):
        table.store(group, client, 7, 0.0)
    table.lookup(group, ALICE, 1.0)
    table.forget(group, ALICE)
    newcomers = [CAROL + 1, CAROL + 2, CAROL + 3]
    for client in newcomers:
        table.store(group, client, 8, 2.0)
    assert [table.lookup(group, client, 2.0) for client in (BOB, CAROL, *newcomers)] == [0, 0, 8, 8, 8]


def test_expired_entries_make_room_before_live_ones() -> None:
    table = AffinityTable(capacity=2)
    short, long = table.open_group(1), table.open_group(100)
    table.store(short, ALICE, 7, 0.0)
    table.store(long, BOB, 8, 0.0)
    table.store(long, CAROL, 9, 50.0)
    assert table.lookup(long, BOB, 50.0) == 8
    assert table.statistics() == AffinityStatistics(entries=2, hits=1, misses=0, evictions=0, expirations=1)


def test_entries_of_dead_clients_are_reclaimed_by_new_ones() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    for client in range(100):
        table.store(group, client, 7, 0.0)
    for client in range(100, 200):
        table.store(group, client, 7, 60.0)
    assert table.statistics() == AffinityStatistics(entries=100, hits=0, misses=0, evictions=0, expirations=100)


def test_statistics_count_hits_and_misses() -> None:
    table = AffinityTable()
    group = table.open_group(10)
    table.store(group, ALICE, 7, 0.0)
    for client, now in [(ALICE, 1.0), (ALICE, 2.0), (BOB, 2.0), (ALICE, 50.0)]:
        table.lookup(group, client, now)
    assert table.statistics() == AffinityStatistics(entries=0, hits=2, misses=2, evictions=0, expirations=1)


def test_memory_of_entries_that_ended_is_used_again() -> None:
    table = AffinityTable(capacity=100_000)
    group = table.open_group(10)
    before = resident_pages()
    for client in range(150_000):
        table.store(group, client, 7, 0.0)
        table.forget(group, client)
    assert resident_pages() - before < 500


def test_a_table_takes_memory_as_clients_come() -> None:
    before = resident_pages()
    table = AffinityTable(MOST_ENTRIES)
    group = table.open_group(10)
    for client in (ALICE, 2**128 - 1):
        table.store(group, client, 7, 0.0)
        assert table.lookup(group, client, 0.0) == 7
    assert resident_pages() - before < 500


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.parametrize("capacity", [0, MOST_ENTRIES + 1])
def test_a_table_of_no_room_or_too_much_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to {MOST_ENTRIES}, not {capacity}"):
        AffinityTable(capacity)


@pytest.mark.parametrize("capacity", [*range(1, 40), 1000])
def test_a_table_of_any_capacity_can_be_filled(capacity: int) -> None:
    table = AffinityTable(capacity)
    group = table.open_group(10)
    clients = [client << 96 * (client % 2) for client in range(capacity + 1)]
    for number, client in enumerate(clients, 1):
        table.store(group, client, number, 0.0)
    found = [table.lookup(group, client, 0.0) for client in clients]
    assert found == [0, *range(2, capacity + 2)]


class Line(NamedTuple):
    """What the reference knows of one entry."""

    backend: int
    used: float
    lined_up: float


class Reference:
    """The same rules over an ordered dictionary, first in line first; group numbers stand for groups."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.timeouts: dict[int, int] = {}
        self.entries: OrderedDict[tuple[int, int], Line] = OrderedDict()
        self.hits = self.misses = self.evictions = self.expirations = 0
        self.evictions_of: Counter[int] = Counter()

    def expired(self, entry: tuple[int, int], now: float) -> bool:
        timeout = self.timeouts.get(entry[0])
        return timeout is None or now - self.entries[entry].used >= timeout

    def lookup(self, group: int, client: int, now: float) -> int:
        entry = (group, client)
        if entry in self.entries and not self.expired(entry, now):
            self.hits += 1
            self.entries[entry] = self.entries[entry]._replace(used=now)
            return self.entries[entry].backend
        self.misses += 1
        self.expirations += self.entries.pop(entry, None) is not None
        return 0

    def store(self, group: int, client: int, backend: int, now: float) -> None:
        entry = (group, client)
        if entry in self.entries:
            self.entries[entry] = self.entries[entry]._replace(backend=backend, used=now)
            return
        for _ in range(2):
            if not self.entries:
                break
            if not self.expired(self.first(), now):
                self.give_another_turn(now)
                break
            del self.entries[self.first()]
            self.expirations += 1
        self.make_room(now)
        self.entries[entry] = Line(backend, now, now)

    def first(self) -> tuple[int, int]:
        return next(iter(self.entries))

    def give_another_turn(self, now: float) -> bool:
        """Whether the first in line was used since it lined up; then it is the last now."""
        entry = self.first()
        line = self.entries[entry]
        if line.used <= line.lined_up:
            return False
        del self.entries[entry]
        self.entries[entry] = line._replace(lined_up=now)
        return True

    def make_room(self, now: float) -> None:
        if len(self.entries) < self.capacity:
            return
        for _ in range(8):
            if not self.give_another_turn(now):
                break
        (group, _), _ = self.entries.popitem(last=False)
        self.evictions += 1
        if group in self.timeouts:
            self.evictions_of[group] += 1

    def statistics(self) -> AffinityStatistics:
        return AffinityStatistics(len(self.entries), self.hits, self.misses, self.evictions, self.expirations)


# Few clients, so that they meet again; the larger numbers differ from the smaller in high bits alone.
CLIENTS = st.sampled_from([address + high for address in range(8) for high in (0, 1 << 32, 1 << 127)])
TIMEOUTS = st.integers(1, 20)


class TableAgainstReference(RuleBasedStateMachine):
    @initialize(capacity=st.integers(1, 9))
    def start(self, capacity: int) -> None:
        self.now = 0.0
        self.table = AffinityTable(capacity)
        self.reference = Reference(capacity)
        self.groups: list[AffinityGroup] = []
        self.told: Counter[int] = Counter()

    @rule(timeout=TIMEOUTS)
    def open_group(self, timeout: int) -> None:
        number = len(self.groups)
        self.reference.timeouts[number] = timeout
        self.groups.append(self.table.open_group(timeout, lambda: self.told.update((number,))))

    def some_group(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.reference.timeouts)))

    @precondition(lambda self: self.reference.timeouts)
    @rule(data=st.data())
    def close_group(self, data: st.DataObject) -> None:
        group = self.some_group(data)
        del self.reference.timeouts[group]
        self.table.close_group(self.groups[group])

    @precondition(lambda self: self.reference.timeouts)
    @rule(data=st.data(), timeout=TIMEOUTS)
    def change_timeout(self, data: st.DataObject, timeout: int) -> None:
        group = self.some_group(data)
        self.reference.timeouts[group] = self.groups[group].timeout = timeout

    @precondition(lambda self: self.reference.timeouts)
    @rule(data=st.data(), clients=st.lists(CLIENTS, min_size=1, max_size=12), backend=st.integers(1, 2**32 - 1))
    def store(self, data: st.DataObject, clients: list[int], backend: int) -> None:
        group = self.some_group(data)
        for client in clients:
            self.table.store(self.groups[group], client, backend, self.now)
            self.reference.store(group, client, backend, self.now)

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), clients=st.lists(CLIENTS, min_size=1, max_size=12))
    def lookup(self, data: st.DataObject, clients: list[int]) -> None:
        group = data.draw(st.integers(0, len(self.groups) - 1))
        for client in clients:
            found = self.table.lookup(self.groups[group], client, self.now)
            assert found == self.reference.lookup(group, client, self.now)

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), client=CLIENTS)
    def forget(self, data: st.DataObject, client: int) -> None:
        group = data.draw(st.integers(0, len(self.groups) - 1))
        self.table.forget(self.groups[group], client)
        self.reference.entries.pop((group, client), None)

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.75, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def agrees_with_the_reference(self) -> None:
        if hasattr(self, "table"):
            assert self.table.statistics() == self.reference.statistics()
            assert len(self.table) == len(self.reference.entries)
            assert self.told == self.reference.evictions_of

    @invariant()
    def lists_what_is_in_force(self) -> None:
        if hasattr(self, "table"):
            listed = [entry for entry in self.table.entries(self.now) if entry is not None]
            live = [entry for entry in reversed(self.reference.entries) if not self.reference.expired(entry, self.now)]
            assert [(self.groups.index(each.group), each.client) for each in listed] == live
            for each, (group, client) in zip(listed, live, strict=True):
                line = self.reference.entries[group, client]
                left = self.reference.timeouts[group] - (self.now - line.used)
                assert (each.backend_id, each.seconds_left) == (line.backend, left)
                assert self.table.peek(self.groups[group], client, self.now) == each


TableAgainstReference.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestTableAgainstReference = TableAgainstReference.TestCase
