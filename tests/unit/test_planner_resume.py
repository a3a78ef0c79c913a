"""A walk goes on from its checkpoint as if nothing had happened."""

from __future__ import annotations

import random

import msgspec
import pytest

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.question import Answer, Question
from cjasync.errors import CheckpointError
from tests.simulator.catalogue import START, catalogue
from tests.simulator.server import Server
from tests.simulator.walk import walk

N = 5000
SHAPES = {
    "seek": {},
    "keyset": {"replicas": 2},
    "blind": {"hide": True},
    "plain": {"ignore": ("sort",)},
    "units": {"ignore": ("time",)},
    "hidden": {"nulls": "last"},
}


def recorded(shape: str) -> tuple[Planner, list[tuple[int, Answer]], list[bytes]]:
    """A whole walk: its answers in order, and the state after each."""
    products = catalogue(N, "bursty", nulls=0.02 if shape == "hidden" else 0)
    planner, server = (
        Planner.start(now=START, page_size=50, window=1000),
        Server(products, window=1000, **SHAPES[shape]),
    )
    rng, flying, answers, states = random.Random(1), [], [], [planner.to_bytes()]
    while not planner.done:
        flying += planner.next(6)
        question = flying.pop(rng.randrange(len(flying)))
        answers.append((question.id, server.answer(question)))
        planner.feed(*answers[-1])
        states.append(planner.to_bytes())
    return planner, answers, states


@pytest.mark.parametrize("shape", SHAPES)
def test_an_older_checkpoint_and_the_answers_since_make_the_same_walk(shape: str) -> None:
    planner, answers, states = recorded(shape)
    for at in range(0, len(answers), 7):
        again = Planner.from_bytes(states[at])
        for number, answer in answers[at : at + 20]:
            again.feed(number, answer)
        assert again.to_bytes() == states[min(at + 20, len(answers))]
    assert Planner.from_bytes(states[-1]).report() == planner.report()


def test_the_next_spine_is_asked_for_before_all_pages_are_read_also_while_an_answer_is_late() -> None:
    products = catalogue(N, "growth")
    planner, server = Planner.start(now=START, page_size=50, window=1000), Server(products, window=1000)
    late: Question | None = None
    flying: list[Question] = []
    new = 0
    while (asked := planner.next(4)) or flying:
        flying += asked
        assert late is None or [one.kind for one in flying] != ["spine"], "all else hangs on this answer"
        question = flying.pop(0)
        if late is None and question.kind == "page" and planner.report().facts.checked_start:
            late = question
        else:
            new += len(planner.feed(question.id, server.answer(question)).new)
    assert late is not None
    assert new == N - 50


def test_questions_in_flight_are_asked_again_and_no_others() -> None:
    products = catalogue(N, "growth")
    planner, server = Planner.start(now=START, page_size=50, window=1000), Server(products, window=1000)
    answered: set[int] = set()
    lost: list[Question] = []
    for _ in range(60):
        flying = planner.next(5)
        if not flying:
            flying = lost
        answered.add(flying[0].id)
        planner.feed(flying[0].id, server.answer(flying[0]))
        lost = flying[1:]
        planner = Planner.from_bytes(planner.to_bytes())
        again = {question.id for question in planner.next(5)}
        assert not again & answered
        assert {question.id for question in lost} <= again
        planner = Planner.from_bytes(planner.to_bytes())


@pytest.mark.parametrize("in_flight", [1, 4, 8])
def test_a_crash_repeats_at_most_what_was_in_flight(in_flight: int) -> None:
    products = catalogue(60_000, "growth")
    calm = walk(Planner.start(now=START), Server(products), products, in_flight=in_flight)
    rough = walk(Planner.start(now=START), Server(products), products, in_flight=in_flight, crash=0.1, seed=in_flight)
    assert rough.crashes > 10
    assert rough.missed == set()
    assert rough.doubled == 0
    # What was in flight had been asked, and is not counted: the walk itself costs as much as one without crashes.
    assert rough.report.requests == calm.report.requests


def test_a_checkpoint_stays_small() -> None:
    products = catalogue(60_000, "growth")
    rough = walk(Planner.start(now=START), Server(products), products, in_flight=8, crash=0.2)
    assert 0 < rough.saved < 400_000


def test_a_late_answer_changes_nothing() -> None:
    products = catalogue(1000, "growth")
    planner, server = Planner.start(now=START), Server(products)
    (head,) = planner.next(1)
    planner.feed(head.id, server.answer(head))
    before = msgspec.json.encode(planner.report().certificates)
    events = planner.feed(head.id, server.answer(head))
    assert (events.new, events.certified) == ((), ())
    assert events.notes
    assert msgspec.json.encode(planner.report().certificates) == before


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x00" * 40])
def test_a_damaged_checkpoint_is_refused(damage: bytes) -> None:
    with pytest.raises(CheckpointError, match="start anew"):
        Planner.from_bytes(damage)


def test_a_truncated_checkpoint_is_refused() -> None:
    whole = Planner.start(now=START).to_bytes()
    for length in range(len(whole)):
        with pytest.raises(CheckpointError):
            Planner.from_bytes(whole[:length])


def test_a_checkpoint_of_another_version_is_refused() -> None:
    state = msgspec.msgpack.decode(Planner.start(now=START).to_bytes())
    state["version"] = 99
    with pytest.raises(CheckpointError, match="version 99"):
        Planner.from_bytes(msgspec.msgpack.encode(state))
