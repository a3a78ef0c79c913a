"""Whole catalogues: reading them completely, and keeping them.

Example::

    async for product in walk(cj, checkpoint="walk.db"): ...
"""

from cjasync.catalog.delivery import Delivery
from cjasync.catalog.filters import Filters
from cjasync.catalog.outcome import Progress, WalkReport
from cjasync.catalog.planning.question import Certificate, Region
from cjasync.catalog.planning.report import Report
from cjasync.catalog.walk import Walk, walk

__all__ = ["Certificate", "Delivery", "Filters", "Progress", "Region", "Report", "Walk", "WalkReport", "walk"]
