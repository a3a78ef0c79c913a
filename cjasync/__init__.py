"""cjasync: an asyncio client for CJ Dropshipping's product API."""

__version__ = "0.1.0"
