"""The three shapes in which CJ sends a page of rows.

Each is generic in its row: the model on the fast way, `msgspec.Raw` when the rows have to be read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

R = TypeVar("R")


class ListData(Struct, Generic[R], frozen=True, rename="camel"):
    """`{pageNum, pageSize, total, list}`: product/list and both review calls."""

    page_num: int | None = None
    page_size: int | None = None
    total: int | None = None
    items: list[R] | None = msgspec.field(name="list", default=None)

    @property
    def number(self) -> int | None:
        """The page's number as CJ echoed it."""
        return self.page_num

    @property
    def total_pages(self) -> int | None:
        """Not told in this shape."""
        return None

    def rows(self) -> Sequence[R]:
        """The rows of the page."""
        return self.items or ()


class ContentData(Struct, Generic[R], frozen=True, rename="camel"):
    """`{pageNumber, pageSize, totalRecords, totalPages, content}`: My Products."""

    page_number: int | None = None
    page_size: int | None = None
    total_records: int | None = None
    total_pages: int | None = None
    content: list[R] | None = None

    @property
    def number(self) -> int | None:
        """The page's number as CJ echoed it."""
        return self.page_number

    @property
    def total(self) -> int | None:
        """How many rows match."""
        return self.total_records

    def rows(self) -> Sequence[R]:
        """The rows of the page."""
        return self.content or ()


class SearchGroup(Struct, Generic[R], frozen=True, rename="camel"):
    """One wrapper of listV2's `content`; its `productList` may be missing."""

    product_list: list[R] | None = None
    related_category_list: Any = None
    store_list: Any = None
    key_word: Any = None
    key_word_old: Any = None
    search_hit: Any = None


class SearchData(Struct, Generic[R], frozen=True, rename="camel"):
    """The page of listV2: `content` is a list of wrappers, usually one."""

    page_number: int | None = None
    page_size: int | None = None
    total_records: int | None = None
    total_pages: int | None = None
    content: list[SearchGroup[R]] | None = None

    @property
    def number(self) -> int | None:
        """The page's number as CJ echoed it."""
        return self.page_number

    @property
    def total(self) -> int | None:
        """How many rows match (6,000 at most, by the newer document)."""
        return self.total_records

    def rows(self) -> Sequence[R]:
        """The rows of all wrappers."""
        groups = self.content or ()
        if len(groups) == 1:
            return groups[0].product_list or ()
        return [row for group in groups for row in group.product_list or ()]
