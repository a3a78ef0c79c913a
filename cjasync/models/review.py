"""Reviews of a product."""

from __future__ import annotations

from datetime import datetime

from cjasync.models._model import Id, Model


class Review(Model):
    """What one buyer wrote."""

    comment_id: Id  #: 19 digits
    pid: Id | None = None  #: the product
    comment: str | None = None  #: the text, in the buyer's language
    comment_date: datetime | None = None  #: often exactly midnight, China time
    comment_user: str | None = None  #: the buyer's name, masked by CJ ("F***o")
    score: int | None = None  #: 1 to 5
    comment_urls: tuple[str, ...] = ()  #: pictures
    country_code: str | None = None  #: the buyer's country, two letters
    flag_icon_url: str | None = None  #: picture of a flag; not always that country's
