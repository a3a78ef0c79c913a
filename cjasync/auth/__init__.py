"""Tokens: got, kept, shared between processes, replaced in time. No HTTP here; the calls to CJ are handed in."""

from cjasync.auth.manager import TokenManager
from cjasync.auth.store import FileTokenStore, MemoryTokenStore, TokenStore
from cjasync.auth.tokens import TokenRecord, Tokens

__all__ = ["FileTokenStore", "MemoryTokenStore", "TokenManager", "TokenRecord", "TokenStore", "Tokens"]
