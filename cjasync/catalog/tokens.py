"""What a sink keeps beside its rows: which walk they are of, and how far it had got."""

from __future__ import annotations

from cjasync.errors import CheckpointError


def token_of(walk: str, seq: int) -> bytes:
    """All deliveries of a walk up to that number."""
    return f"{walk}:{seq}".encode()


def seq_of(token: bytes, walk: str | None, where: object) -> int:
    """The number in a token; CheckpointError if it is of another walk."""
    name, _, seq = token.decode(errors="replace").partition(":")
    if name != walk or not seq.isdecimal():
        raise CheckpointError(
            f"{where} is of a walk that this checkpoint knows nothing of; start anew with `fresh=True` for both"
        )
    return int(seq)
