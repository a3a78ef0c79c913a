"""The three shapes in which CJ sends a page of rows.

Each is generic in its row: the model on the fast way, `msgspec.Raw` when the rows have to be read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cjasync.errors import BadResponseError
from cjasync.models._build import build
from cjasync.models._model import M
from cjasync.models._values import Unreadable, read_json, show
from cjasync.models.category import RelatedCategory
from cjasync.models.warehouse import SearchStore

R = TypeVar("R")


class ListData(Struct, Generic[R], frozen=True, rename="camel"):
    """`{pageNum, pageSize, total, list}`: product/list and both review calls."""

    page_num: int | None = None
    page_size: int | None = None
    total: int | None = None
    items: tuple[R, ...] | None = msgspec.field(name="list", default=None)

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

    def bare(self) -> ListData[R]:
        """The page without its rows."""
        return msgspec.structs.replace(self, items=None)


class ContentData(Struct, Generic[R], frozen=True, rename="camel"):
    """`{pageNumber, pageSize, totalRecords, totalPages, content}`: My Products."""

    page_number: int | None = None
    page_size: int | None = None
    total_records: int | None = None
    total_pages: int | None = None
    content: tuple[R, ...] | None = None

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

    def bare(self) -> ContentData[R]:
        """The page without its rows."""
        return msgspec.structs.replace(self, content=None)


class SearchGroup(Struct, Generic[R], frozen=True, rename="camel"):
    """One wrapper of listV2's `content`; its `productList` may be missing. What stands beside the rows is kept raw."""

    product_list: tuple[R, ...] | None = None
    related_category_list: Any = None
    store_list: Any = None
    key_word: Any = None  #: the words that CJ searched for
    key_word_old: Any = None  #: the words that were given
    search_hit: Any = None  #: undocumented, e.g. "1::1000"

    @property
    def related_categories(self) -> tuple[RelatedCategory, ...]:
        """Categories that CJ relates to the search words. BadResponseError if it sent something else."""
        return _built(RelatedCategory, "relatedCategoryList", self.related_category_list)

    @property
    def stores(self) -> tuple[SearchStore, ...]:
        """Warehouses that CJ names beside the rows. BadResponseError if it sent something else."""
        return _built(SearchStore, "storeList", self.store_list)


def _built(model: type[M], name: str, value: Any) -> tuple[M, ...]:
    try:
        rows = read_json(value) or ()
        if not isinstance(rows, list | tuple):
            raise Unreadable(f"expected a list, got {show(rows)}")
        return tuple(build(model, row) for row in rows)
    except Unreadable as error:
        path = error.under(f"data.content.{name}").path
        raise BadResponseError(f"{path}: {error.reason}", path=path, endpoint="product/listV2") from None


class SearchData(Struct, Generic[R], frozen=True, rename="camel"):
    """The page of listV2: `content` is a list of wrappers, usually one."""

    page_number: int | None = None
    page_size: int | None = None
    total_records: int | None = None
    total_pages: int | None = None
    content: tuple[SearchGroup[R], ...] | None = None

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

    def bare(self) -> SearchData[R]:
        """The page without its rows, but with what stands beside them."""
        groups = tuple(msgspec.structs.replace(group, product_list=None) for group in self.content or ())
        return msgspec.structs.replace(self, content=groups)
