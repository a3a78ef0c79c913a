"""The wire: the only room that knows aiohttp's client."""

from aiohttp import ClientSession as Session

from cjasync._transport.exchange import Admission, Exchange
from cjasync._transport.response import Response
from cjasync._transport.transport import Transport

__all__ = ["Admission", "Exchange", "Response", "Session", "Transport"]
