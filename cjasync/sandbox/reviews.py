"""What customers say about a product. Like the variants, it follows from the product."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from msgspec import Struct

from cjasync.config import CHINA_TIME
from cjasync.sandbox.product import Product

_COUNTS = (0, 0, 1, 3, 7, 19, 20, 21, 64, 130)
_FIRST_DAY = datetime(2022, 1, 1, tzinfo=CHINA_TIME)
_SCORES = (5, 5, 5, 5, 5, 4, 4, 3, 2, 1)
_COUNTRIES = ("US", "MX", "DE", "BR", "FR", "GB")
_TEXTS = (
    "Great!",
    "excelente estado, llegó en una semana, cumple con lo descrito.\nBuena calidad de audio.",
    'Size is "small", order one up \N{SMILING FACE WITH HEART-SHAPED EYES}',
    "质量很好",
    "<b>ok</b> & fine",
    "",
)


class Review(Struct, frozen=True):
    """One review; `score` from 1 to 5."""

    id: int
    text: str
    user: str
    score: int
    country: str
    date: datetime
    images: tuple[str, ...]


def reviews_of(product: Product) -> tuple[Review, ...]:
    """All reviews, the newest first."""
    draw = random.Random(f"reviews {product.key}")
    made = [
        Review(
            id=10**18 + (product.number << 8 | number) * 0x9E3779B97F4A7C15 % (1 << 61),
            text=draw.choice(_TEXTS),
            user=f"{chr(65 + draw.randrange(26))}***{chr(97 + draw.randrange(26))}",
            score=draw.choice(_SCORES),
            country=draw.choice(_COUNTRIES),
            date=_FIRST_DAY + timedelta(days=draw.randrange(1200)),
            images=tuple(
                product.image.replace("_trans", f"_r{number}_{place}") for place in range(draw.choice((0, 0, 2)))
            ),
        )
        for number in range(draw.choice(_COUNTS))
    ]
    return tuple(sorted(made, key=lambda review: (review.date, review.id), reverse=True))
