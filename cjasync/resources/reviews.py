"""`client.reviews`."""

from __future__ import annotations

import warnings

from cjasync._endpoint import Endpoint, Paging
from cjasync._params import text, whole
from cjasync.errors import Cursor
from cjasync.models._pages import ListData
from cjasync.models.review import Review
from cjasync.pagination import Pager
from cjasync.resources._resource import Resource

# The document gives no largest page; 50 is the most that CJ's own MCP server asks for.
_PAGE_SIZE = 50
_PARAMS = {
    "pid": text("pid", required=True),
    "score": whole("score", 1, 5),
    "page_num": whole("pageNum", 1),
    "page_size": whole("pageSize", 1),
}
_PAGING = Paging(page="pageNum", size="pageSize", default_size=_PAGE_SIZE, max_size=None)

PRODUCT_COMMENTS: Endpoint[Review] = Endpoint(
    method="GET",
    path="product/productComments",
    answer=ListData[Review],
    section="4.2 Inquiry Reviews",
    params=_PARAMS,
    paging=_PAGING,
)

COMMENTS: Endpoint[Review] = Endpoint(
    method="GET",
    path="product/comments",
    answer=ListData[Review],
    section="4.1 Inquiry Reviews",
    params=_PARAMS,
    paging=_PAGING,
)


class Reviews(Resource):
    """What buyers wrote."""

    __slots__ = ()

    def product_comments(
        self,
        pid: str,
        *,
        score: int | None = None,
        page_num: int = 1,
        page_size: int = _PAGE_SIZE,
        cursor: Cursor | str | None = None,
    ) -> Pager[Review]:
        """Reviews of a product: await it for a page, iterate it for all.

        GET product/productComments (document 4.2), 0 points a page.

        Args:
            pid: product id.
            score: only reviews with this score, 1 to 5.
            page_num: first page, from 1.
            page_size: reviews a page, from 1; CJ names no limit, and a page that it makes shorter is read as such.
            cursor: go on where an earlier listing stopped.

        Raises:
            ParameterError: a value that CJ does not take (nothing is sent).
            NotFoundError: no such product.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._pager(PRODUCT_COMMENTS, locals(), cursor)

    def comments(
        self,
        pid: str,
        *,
        score: int | None = None,
        page_num: int = 1,
        page_size: int = _PAGE_SIZE,
        cursor: Cursor | str | None = None,
    ) -> Pager[Review]:
        """Reviews by the call that CJ has given up; use `product_comments`, which takes and gives the same.

        GET product/comments (document 4.1, deprecated since June 2024), 0 points a page. Warns DeprecationWarning.
        """
        given = locals()
        warnings.warn(
            "CJ gave up product/comments in June 2024; use product_comments()", DeprecationWarning, stacklevel=2
        )
        return self._pager(COMMENTS, given, cursor)
