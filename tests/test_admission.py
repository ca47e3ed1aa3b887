"""Who goes next: by priority, fair between hosts, inside limits and memory; pure state."""

from __future__ import annotations

import itertools
from collections import Counter
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scrapy_imgpipe.admission import MOST_LANDED, Admission, State, Ticket
from scrapy_imgpipe.admission.memory import FIRST_GUESS, PATIENCE_SECONDS, RESERVE

MIB = 1 << 20
numbers = itertools.count()


def ticket(host: str = "a", priority: int = 0) -> Ticket:
    return Ticket(next(numbers), host, priority)


def waiting(*tickets: Ticket, budget: int = 1000 * MIB, workers: int = 1) -> Admission:
    admission = Admission(budget, workers)
    for one in tickets:
        admission.add(one)
    return admission


def room(_: object) -> float:
    return 0


def downloads(
    admission: Admission, places: int | None = None, limit: int = 10**9, now: float = 0
) -> list[Ticket]:
    """Let all go that may, with *places* in all and *limit* places for each host."""
    gone = []
    while True:
        left = None if places is None else places - admission.downloading
        one = admission.next_download(
            left, lambda host: 0 if admission.places_of(host) < limit else inf, now
        )
        if one is None:
            return gone
        gone.append(one)


def all_land(admission: Admission, tickets: list[Ticket], body: int, need: int = 0) -> None:
    for one in tickets:
        admission.landed(one, body, need, 2 * body)


def test_the_highest_priority_goes_first_and_then_who_came_first():
    tickets = [ticket("a", priority) for priority in (0, 5, -3, 5, 0)]
    order = downloads(waiting(*tickets))
    assert [tickets.index(one) for one in order] == [1, 3, 0, 4, 2]


def test_a_late_one_of_high_priority_overtakes_thousands():
    admission = waiting(*(ticket() for _ in range(5000)))
    first = downloads(admission, places=4)
    late = ticket("a", 1)
    admission.add(late)
    admission.leave(first[0])
    assert downloads(admission, places=4) == [late]


def test_who_is_asked_for_again_with_a_higher_priority_goes_with_that():
    hosts = [("a", 0), ("a", 0), ("b", 0), ("c", 9)]
    first, second, third, above = (ticket(host, priority) for host, priority in hosts)
    admission = waiting(first, second, third, above)
    admission.raise_priority(second, 5)
    admission.raise_priority(second, 1)  # lower again does nothing
    assert downloads(admission) == [above, second, third, first]
    admission.raise_priority(second, 7)  # nor where it waits no more
    assert admission.waiting == 0


def test_hosts_of_one_priority_take_turns():
    admission = waiting(*(ticket("a") for _ in range(6)), *(ticket("b") for _ in range(6)))
    order = "".join(one.host for one in downloads(admission, places=6))
    assert sorted(order) == list("aaabbb")
    assert order[:2] in {"ab", "ba"}


def test_a_host_without_room_holds_up_nobody():
    slow, quick = [ticket("slow", 9) for _ in range(9)], [ticket("quick") for _ in range(3)]
    admission = waiting(*slow, *quick)
    order = [one.host for one in downloads(admission, places=16, limit=2)]
    assert order == ["slow", "slow", "quick", "quick"]


def test_the_host_with_the_fewest_places_is_next():
    admission = waiting(*(ticket("a") for _ in range(9)))
    first = downloads(admission, places=4)
    for _ in range(9):
        admission.add(ticket("b"))
    hosts = []
    for one in first:
        admission.leave(one)
        hosts += [gone.host for gone in downloads(admission, places=4)]
    assert hosts == ["b", "b", "a", "a"]


def test_the_last_of_many_places_is_kept_for_a_host_that_has_none():
    admission = waiting(*(ticket("slow") for _ in range(99)))
    assert len(downloads(admission, places=16)) == 15
    other = ticket("other", -9)
    admission.add(other)
    assert downloads(admission, places=16) == [other]


def test_no_place_is_spared_where_there_are_few():
    admission = waiting(*(ticket("only") for _ in range(99)))
    assert len(downloads(admission, places=4)) == 4


def test_nothing_goes_without_a_place():
    admission = waiting(ticket())
    assert admission.next_download(0, room, 0) is None
    assert admission.next_download(-3, room, 0) is None
    assert admission.next_download(1, room, 0) is not None


def test_downloads_stop_where_the_budget_ends():
    admission = waiting(*(ticket("a") for _ in range(99)), budget=12 * FIRST_GUESS)
    assert len(downloads(admission)) == 9  # the rest is for other hosts
    for _ in range(99):
        admission.add(ticket("b"))
        admission.add(ticket("c"))
        admission.add(ticket("d"))
        admission.add(ticket("e"))
    assert [one.host for one in downloads(admission)] == ["b", "c", "d"]


def test_a_header_that_tells_of_a_large_body_stops_others():
    admission = waiting(*(ticket() for _ in range(99)), budget=100 * MIB)
    (first,) = downloads(admission, places=1)
    admission.announced(first, 60 * MIB)
    assert admission.memory.in_use == 60 * MIB
    assert downloads(admission) == []  # the next one may be as large
    admission.leave(first)
    assert len(downloads(admission)) == 3


def test_what_is_expected_falls_again_when_small_ones_come():
    admission = waiting(*(ticket() for _ in range(200)), budget=100 * MIB)
    (first,) = downloads(admission, places=1)
    admission.landed(first, 50 * MIB, 0, 90 * MIB)
    admission.leave(first)
    for _ in range(60):
        (one,) = downloads(admission, places=1)
        admission.landed(one, 1000, 0, 2000)
        admission.leave(one)
    assert admission.memory.expected < MIB
    assert len(downloads(admission, places=51)) == 50


def test_what_one_host_announces_is_expected_of_no_other():
    admission = waiting(ticket("liar"), ticket("other"), budget=100 * MIB)
    first, second = downloads(admission)
    admission.announced(first, 10**400)
    admission.leave(first)
    admission.leave(second)
    for host in ("liar", "other"):
        for _ in range(9):
            admission.add(ticket(host))
    assert Counter(one.host for one in downloads(admission)) == {"liar": 2, "other": 9}
    admission.add(ticket("liar", 1))
    admission.add(ticket("third", 0))
    assert downloads(admission) == []  # but lower priorities do not pass


def test_who_announces_much_and_sends_nothing_holds_others_up_for_a_while_only():
    admission = waiting(ticket("slow"), *(ticket("quick") for _ in range(3)), budget=100 * MIB)
    slow, *_ = downloads(admission, places=1)
    admission.announced(slow, 500 * MIB)
    admission.arrived(slow, 3 * MIB)
    assert downloads(admission, now=PATIENCE_SECONDS - 1) == []
    assert admission.next_look() == PATIENCE_SECONDS
    assert len(downloads(admission, now=PATIENCE_SECONDS)) == 3
    assert slow.weight == 3 * MIB
    admission.arrived(slow, 5 * MIB)
    assert slow.weight == 8 * MIB
    admission.announced(slow, 500 * MIB)  # a retry: from the beginning
    admission.arrived(slow, MIB)
    assert slow.weight == MIB


def test_more_than_was_announced_counts_when_it_has_come():
    admission = waiting(one := ticket(), budget=100 * MIB)
    downloads(admission)
    admission.announced(one, 2 * MIB)
    admission.arrived(one, MIB)
    assert one.weight == 2 * MIB
    admission.arrived(one, 2 * MIB)
    assert one.weight == 3 * MIB


def test_a_host_without_room_is_asked_again_when_its_time_has_come_or_a_place_is_free():
    asked = []

    def wait_of(host):
        asked.append(host)
        return {"timed": 7.0, "full": inf}[host] if admission.places_of(host) else 0.0

    admission = waiting(*(ticket(host) for host in ("timed", "full") for _ in range(3)))
    timed, full = (admission.next_download(None, wait_of, 0) for _ in "12")
    assert admission.next_download(None, wait_of, 1) is None
    assert admission.next_look() == 8
    asked.clear()
    assert admission.next_download(None, wait_of, 7.9) is None
    assert asked == []
    assert admission.next_download(None, wait_of, 8) is None
    assert asked == ["timed"]
    admission.leave(full)
    assert admission.next_download(None, wait_of, 9).host == "full"
    admission.leave(timed)
    assert admission.next_download(None, wait_of, 9).host == "timed"


def test_thousands_of_priorities_and_hosts_cost_no_more_than_one():
    """A choice looks at few hosts, whatever number of them and of priorities there is."""
    asked = []

    def wait_of(host):
        asked.append(host)
        return inf if admission.places_of(host) else 0.0

    many = [ticket(f"host {n % 500}", n) for n in range(5000)]
    admission = waiting(*many)
    for _ in range(16):
        assert admission.next_download(None, wait_of, 0) is not None
    assert len(asked) <= 2 * 16
    assert len(admission._queue._order) <= 500


def test_bodies_that_wait_for_a_worker_hold_downloads_back():
    admission = waiting(*(ticket() for _ in range(99)), budget=20 * MIB)
    first = downloads(admission)
    all_land(admission, first, 2 * MIB)
    assert admission.memory.in_use == len(first) * 2 * MIB
    assert downloads(admission) == []


def test_no_download_begins_while_bodies_leave_a_worker_without_memory():
    admission = waiting(*(ticket() for _ in range(40)), budget=20 * MIB, workers=2)
    gone = downloads(admission)
    all_land(admission, gone, MIB, 4 * MIB)
    gone += downloads(admission)  # bodies weigh less than what was expected: room for more
    all_land(admission, gone[len(admission._landed) :], MIB, 4 * MIB)
    rendered = [admission.next_rendering()]
    assert admission.next_rendering() is None  # bodies are in the way of the second worker
    while len(rendered) < 8:
        assert downloads(admission) == []
        admission.leave(rendered[-1])
        rendered += iter(admission.next_rendering, None)
    assert admission._rendering == 2
    assert downloads(admission)


def test_what_would_not_fit_beside_what_is_rendered_holds_no_download_back():
    admission = waiting(*(ticket() for _ in range(9)), budget=20 * MIB, workers=2)
    first, second = downloads(admission, places=2)
    all_land(admission, [first, second], MIB, 15 * MIB)
    assert admission.next_rendering() is first
    assert admission.next_rendering() is None
    assert downloads(admission, places=1, now=PATIENCE_SECONDS)


@pytest.mark.parametrize("workers", [1, 3])
def test_no_download_begins_while_workers_have_enough_to_do(workers):
    admission = waiting(*(ticket() for _ in range(MOST_LANDED * workers)), workers=workers)
    all_land(admission, downloads(admission), 1000)
    admission.add(late := ticket())
    assert downloads(admission) == []
    assert admission.next_rendering() is not None
    assert downloads(admission) == [late]


def test_rendering_goes_in_the_order_of_landing_as_memory_allows():
    admission = waiting(*(ticket() for _ in range(3)), budget=100 * MIB)
    first, second, third = downloads(admission)
    all_land(admission, [second, first, third], MIB, 45 * MIB)
    assert admission.next_rendering() is second
    assert admission.next_rendering() is first
    assert admission.next_rendering() is None
    admission.leave(second)
    assert admission.next_rendering() is third


def test_one_is_always_rendered_however_full_it_is():
    admission = waiting(*(ticket() for _ in range(9)), budget=10 * MIB)
    gone = downloads(admission)
    all_land(admission, gone, 9 * MIB, MIB)
    assert admission.memory.in_use > admission.memory.budget
    assert admission.next_rendering() is gone[0]
    assert admission.next_rendering() is None


def test_what_is_larger_than_the_budget_goes_alone():
    admission = waiting(*(ticket() for _ in range(9)), budget=10 * MIB)
    giant, small, *_ = downloads(admission, places=2)
    admission.landed(giant, MIB, 300 * MIB, 2 * MIB)
    assert downloads(admission, places=9) == []
    admission.landed(small, 1000, 1000, 2000)
    assert admission.next_rendering() is small
    assert admission.next_rendering() is None
    admission.leave(small)
    assert admission.next_rendering() is giant
    assert downloads(admission, places=9) == []
    admission.leave(giant)
    assert downloads(admission, places=9) != []


def test_two_giants_go_one_after_the_other():
    admission = waiting(ticket(), ticket(), budget=10 * MIB)
    first, second = downloads(admission)
    all_land(admission, [first, second], MIB, 300 * MIB)
    assert admission.next_rendering() is first
    assert admission.next_rendering() is None
    admission.leave(first)
    assert admission.next_rendering() is second


@pytest.mark.parametrize("state", [s for s in State if s is not State.GONE])
def test_leaving_gives_back_everything_in_any_state(state):
    admission = waiting(one := ticket(), budget=10 * MIB)
    if state is not State.WAITING:
        assert admission.next_download(None, room, 0) is one
    if state in {State.LANDED, State.RENDERING}:
        admission.landed(one, MIB, MIB, MIB)
    if state is State.RENDERING:
        assert admission.next_rendering() is one
    assert one.state is state
    admission.leave(one)
    admission.leave(one)  # again does nothing
    assert one.state is State.GONE
    assert (admission.waiting, admission.under_way, admission.memory.in_use) == (0, 0, 0)
    assert admission.places_of("a") == 0


class Machine(RuleBasedStateMachine):
    """Anything may happen in any order; the promises hold all the time."""

    @initialize(
        budget=st.integers(1, 400),
        places=st.one_of(st.none(), st.integers(1, 20)),
        workers=st.integers(1, 4),
    )
    def begin(self, budget, places, workers):
        self.admission = Admission(budget, workers)
        self.places = places
        self.limits = {}
        self.now = 0
        self.tickets: list[Ticket] = []

    def of(self, *states: State) -> list[Ticket]:
        return [one for one in self.tickets if one.state in states]

    def wait_of(self, host) -> float:
        return 0 if self.admission.places_of(host) < self.limits.setdefault(host, 3) else 1

    def left(self) -> int | None:
        return None if self.places is None else self.places - self.admission.downloading

    @rule(host=st.sampled_from("abcde"), priority=st.integers(-2, 2), times=st.integers(1, 5))
    def add(self, host, priority, times):
        for _ in range(times):
            self.tickets.append(ticket(host, priority))
            self.admission.add(self.tickets[-1])

    @precondition(lambda self: self.of(State.WAITING))
    @rule(data=st.data(), priority=st.integers(-2, 3))
    def raise_priority(self, data, priority):
        one = data.draw(st.sampled_from(self.of(State.WAITING)))
        if priority > one.priority:  # behind those that have it
            self.tickets.remove(one)
            self.tickets.append(one)
        self.admission.raise_priority(one, priority)
        assert one.priority >= priority

    @rule(host=st.sampled_from("abcde"), limit=st.integers(1, 8))
    def change_a_limit(self, host, limit):
        self.limits[host] = limit

    @rule(seconds=st.sampled_from([1, 1, 1, 9]))
    def download(self, seconds):
        self.now += seconds  # who stood aside a second ago is asked again
        left = self.left()
        self.admission.memory.grow_old(self.now)
        under_way, before = self.admission.under_way, self.admission.memory.in_use
        eligible = [one for one in self.of(State.WAITING) if not self.wait_of(one.host)]
        one = self.admission.next_download(left, self.wait_of, self.now)
        if one is None and not (eligible and (left is None or left > 1)):
            return
        if one is not None:
            assert left is None or left > 0
            assert one in eligible
            if left is not None and left == 1:
                return
        top = max(t.priority for t in eligible)
        best = [t for t in eligible if t.priority == top]
        giants = any(
            t.weight + t.need > self.admission.memory.budget for t in self.of(State.LANDED)
        )
        if one is None:
            assert under_way
            assert (
                giants
                or any(self.lacks_memory(t.host, before) for t in best)
                or self.a_worker_lacks_memory()
                or len(self.of(State.LANDED)) >= MOST_LANDED * self.admission.workers
            )
            return
        assert one in best
        places = Counter(t.host for t in self.of(State.DOWNLOADING) if t is not one)
        assert not under_way or not self.lacks_memory(one.host, before, places[one.host])
        fewer = {t.host for t in best if places[t.host] < places[one.host]}
        assert all(places[host] and self.lacks_memory(host, before) for host in fewer)
        assert one is next(t for t in best if t.host == one.host)

    def lacks_memory(self, host, in_use, places=None):
        memory = self.admission.memory
        places = self.admission.places_of(host) if places is None else places
        usable = memory.budget if not places else memory.budget - memory.budget // RESERVE
        return in_use + memory.expected_of(host) > usable

    def a_worker_lacks_memory(self):
        idle = 0 < len(self.of(State.RENDERING)) < self.admission.workers
        memory = self.admission.memory
        return idle and any(memory.in_use + t.need > memory.budget for t in self.of(State.LANDED))

    @precondition(lambda self: self.of(State.DOWNLOADING))
    @rule(data=st.data(), weight=st.integers(0, 900))
    def header(self, data, weight):
        one = data.draw(st.sampled_from(self.of(State.DOWNLOADING)))
        self.admission.announced(one, weight or None)

    @precondition(lambda self: self.of(State.DOWNLOADING))
    @rule(data=st.data(), weight=st.integers(0, 300))
    def some_bytes(self, data, weight):
        self.admission.arrived(data.draw(st.sampled_from(self.of(State.DOWNLOADING))), weight)

    @precondition(lambda self: self.of(State.DOWNLOADING))
    @rule(data=st.data(), body=st.integers(0, 300), need=st.integers(0, 600))
    def land(self, data, body, need):
        one = data.draw(st.sampled_from(self.of(State.DOWNLOADING)))
        self.admission.landed(one, body, need, 2 * body)

    @rule(need=st.integers(0, 600))
    def find(self, need):
        self.tickets.append(ticket())
        self.admission.found(self.tickets[-1], need)

    @rule()
    def render(self):
        rendered_before = self.of(State.RENDERING)
        landed = self.of(State.LANDED)
        one = self.admission.next_rendering()
        if one is None:
            assert rendered_before or not landed  # never stuck
        elif rendered_before:
            assert self.admission.memory.in_use <= self.admission.memory.budget
        if one is not None and one.weight > self.admission.memory.budget:
            assert not rendered_before

    @precondition(lambda self: [one for one in self.tickets if one.state is not State.GONE])
    @rule(data=st.data())
    def leave(self, data):
        alive = [one for one in self.tickets if one.state is not State.GONE]
        self.admission.leave(data.draw(st.sampled_from(alive)))

    @invariant()
    def the_sums_are_right(self):
        if not hasattr(self, "admission"):
            return
        admission = self.admission
        assert admission.waiting == len(self.of(State.WAITING))
        assert admission.downloading == len(self.of(State.DOWNLOADING))
        assert admission.memory.in_use == sum(one.weight for one in self.tickets)
        taken = Counter(one.host for one in self.of(State.DOWNLOADING))
        assert all(admission.places_of(host) == taken[host] for host in "abcde")
        assert self.places is None or admission.downloading <= self.places

    def teardown(self):
        """Whatever has happened, all that is left comes to its end."""
        if not hasattr(self, "admission"):
            return
        for one in self.of(State.DOWNLOADING):
            self.admission.landed(one, 1, 500, 2)
        for _ in range(3 * len(self.tickets) + 1):
            self.limits.clear()
            for one in self.of(State.RENDERING):
                self.admission.leave(one)
            self.admission.next_rendering()
            self.now += 1
            one = self.admission.next_download(self.left(), self.wait_of, self.now)
            if one is not None:
                self.admission.landed(one, 1, 500, 2)
        for one in self.of(State.RENDERING):
            self.admission.leave(one)
        assert not [one for one in self.tickets if one.state is not State.GONE]


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
