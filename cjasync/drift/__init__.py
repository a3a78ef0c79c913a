"""Drift: what CJ's answers hold that the models do not know, and the other way round::

    from cjasync.drift import check_drift

    report = await check_drift(cj)      # a dozen calls, about 160 points; free=True for those that cost nothing
    print(report)

`Drift` is the comparison alone, for answers that you have: `drift.add(path, body)` as often as you like, then
`drift.report()`.
"""

from cjasync.drift.check import check_drift
from cjasync.drift.drift import Drift
from cjasync.drift.report import Change, DriftReport

__all__ = ["Change", "Drift", "DriftReport", "check_drift"]
