"""From a walk into a sink: rows first, then the sink's commit, then the checkpoint forgets them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cjasync.catalog.entry import Kind, Standing
from cjasync.catalog.gone import Gone
from cjasync.catalog.question import Region
from cjasync.catalog.sinks import Batch, Sink
from cjasync.errors import CheckpointError, CJError

if TYPE_CHECKING:
    from cjasync.catalog.outcome import WalkReport
    from cjasync.catalog.walk import Walk


class Delivery(Struct, frozen=True):
    """Rows that came with one answer.

    kind: "list" for products, else what details were asked by. token: for the sink's commit, and then the walk's: all
    up to here. certified: regions of create time that are complete with these rows.
    """

    kind: Kind
    rows: Batch[Any]
    token: bytes
    certified: tuple[Region, ...]


def token_of(walk: str, seq: int) -> bytes:
    """What a sink keeps beside its rows: which walk they are of, and how far it had got."""
    return f"{walk}:{seq}".encode()


def seq_of(token: bytes, walk: str | None, where: object) -> int:
    """How far a walk had got; CheckpointError if the token is of another."""
    name, _, seq = token.decode(errors="replace").partition(":")
    if name != walk or not seq.isdecimal():
        raise CheckpointError(
            f"{where} is of another walk than this checkpoint; start anew with fresh=True (--fresh) for both"
        )
    return int(seq)


def held_by(sink: Any, standing: Standing) -> int:
    """Up to where a sink has all rows. One without a `token` is taken to have what it was said to have."""
    taken = standing.taken if standing.going else 0
    if not hasattr(sink, "token"):
        return taken
    where = getattr(sink, "partial", "what this sink holds")
    if sink.token is not None:
        return seq_of(sink.token, standing.name if standing.going else None, where)
    if taken:
        raise CheckpointError(
            f"the checkpoint knows of rows written to {where}, and they are gone; start anew with fresh=True (--fresh)"
        )
    return 0


async def bring(walk: Walk, sink: Sink, details: Sink | None) -> WalkReport:
    """`Walk.into`."""
    sinks = [sink] if details is None else [sink, details]
    standing = await walk.open()
    updates = getattr(sink, "upserts", False)
    if standing.state == "closing":
        waiting = [each for each in sinks if not _has_finished(each)]
        for each in waiting:
            held_by(each, standing)
        await _drain(walk)
    else:
        waiting = sinks
        gone = Gone(sink, walk, await walk.known()) if updates else None
        await _fill(walk, sinks, [held_by(each, standing) for each in sinks], gone)
        await walk.closing()
    for each in waiting:
        if hasattr(each, "finish"):
            await each.finish()
    return await walk.finish(updates=updates)


async def _fill(walk: Walk, sinks: Sequence[Sink], have: Sequence[int], gone: Gone | None) -> None:
    """Write and commit everything. However it ends, what was written is committed."""
    token: bytes | None = None
    pages = 0

    async def commit(token: bytes) -> None:
        for sink in sinks:
            await sink.commit(token)
        walk.commit(token)

    try:
        async with aclosing(walk.batches()) as batches:
            async for delivery in batches:
                place = 0 if delivery.kind == "list" else 1
                if walk.seq_of(delivery.token) > have[place]:
                    await sinks[place].write(delivery.rows)
                    if gone is not None:
                        for region in delivery.certified:
                            await gone.bury(region, delivery.rows.fetched_at)
                token, pages = delivery.token, pages + 1
                if pages >= walk.window_pages:
                    await commit(token)
                    token, pages = None, 0
        if gone is not None and walk.report.proved:
            await gone.bury_the_rest(walk.now)
        await commit(walk.last_token)
    except BaseException:
        if token is not None:
            with suppress(CJError):  # the one that is on its way says more
                await commit(token)
        raise


async def _drain(walk: Walk) -> None:
    """There is nothing to deliver any more."""
    async with aclosing(walk.batches()) as batches:
        async for _ in batches:
            pass


def _has_finished(sink: Any) -> bool:
    """Did an earlier run end between this sink's end and its own?"""
    path = getattr(sink, "path", None)
    return getattr(sink, "token", b"") is None and path is not None and Path(path).exists()
