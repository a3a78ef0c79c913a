"""Products that an earlier walk found and this one does not: marked in databases, and only where that is proved."""

from __future__ import annotations

from pathlib import Path

import pytest

from cjasync.catalog import walk
from cjasync.catalog.sinks import open_sink, read_rows
from cjasync.errors import CJError
from cjasync.models import ListedProduct
from cjasync.sandbox import Fault
from cjasync.sandbox.rows import ListRows
from tests.integration.walking import shop


async def bring(cj, file: Path, checkpoint: str = "walk.db", **arguments):
    async with (
        walk(cj, checkpoint=file.with_name(checkpoint), **arguments) as walked,
        await open_sink(file, ListedProduct, question=walked.question) as sink,
    ):
        return await walked.into(sink)


def marked(file: Path) -> dict[str, bool]:
    """Product ids to whether they are marked as gone."""
    return {row["pid"]: row["deleted_at"] is not None for row in read_rows(file, ListedProduct)}


@pytest.mark.parametrize("suffix", [".sqlite", ".duckdb"])
async def test_what_is_gone_is_marked_and_what_comes_back_is_not_any_more(tmp_path, suffix):
    file = tmp_path / f"products{suffix}"
    async with shop(2000, window=600, null_times=0.02) as (sandbox, cj):
        catalogue = sandbox.catalogue
        assert (await bring(cj, file)).tombstones == 0
        untimed = [pid for pid, created in zip(catalogue.pids, catalogue.created, strict=True) if created == -1]
        gone = {*catalogue.pids[5:2000:97], untimed[0], untimed[5]}
        for pid in gone:
            catalogue.delete(pid)
        new = catalogue.add()
        report = await bring(cj, file)
        assert report.proved
        assert report.tombstones == len(gone)
        after = marked(file)
        assert {pid for pid, is_gone in after.items() if is_gone} == gone
        assert after.keys() == {*catalogue.pids}
        assert not after[new]

        back = min(gone)
        catalogue.relist(back)
        assert (await bring(cj, file)).tombstones == 0  # those that are marked stay as they are
        assert {pid for pid, is_gone in marked(file).items() if is_gone} == gone - {back}


async def test_a_catalogue_of_one_window_too(tmp_path):
    file = tmp_path / "products.sqlite"
    async with shop(500, null_times=0.02) as (sandbox, cj):
        await bring(cj, file)
        gone = set(sandbox.catalogue.pids[::50])
        for pid in gone:
            sandbox.catalogue.delete(pid)
        assert (await bring(cj, file)).tombstones == len(gone)
    assert {pid for pid, is_gone in marked(file).items() if is_gone} == gone


async def test_nothing_is_marked_before_its_window_is_certified(tmp_path):
    """The walk ends in the middle; the rows beyond stay as they are, whatever became of them."""
    file = tmp_path / "products.sqlite"
    async with shop(3000, window=600, null_times=0.0) as (sandbox, cj):
        await bring(cj, file)
        gone = set(sandbox.catalogue.pids[::100])
        for pid in gone:
            sandbox.catalogue.delete(pid)
        fault = Fault("refuse", "product/list", nth=range(13, 10_000), code=1600004, message="Authorization failed")
        sandbox.faults.add(fault)
        with pytest.raises(CJError, match="Authorization failed"):
            await bring(cj, file)
        assert not any(marked(file).values())
        sandbox.faults.clear()
        report = await bring(cj, file)
    assert report.runs == 2
    assert report.tombstones == len(gone)
    assert {pid for pid, is_gone in marked(file).items() if is_gone} == gone


async def test_rows_of_another_question_are_never_marked(tmp_path):
    file = tmp_path / "products.sqlite"
    async with shop(2000, window=600) as (_, cj):
        await bring(cj, file)
        some = await bring(cj, file, "other.db", country_code="US")
        assert 0 < some.delivered < 2000
        again = await bring(cj, file, "other.db", country_code="US")
        assert again.delivered == some.delivered
    assert not any(marked(file).values())


async def test_a_row_that_cannot_be_read_is_not_gone(tmp_path, monkeypatch):
    file = tmp_path / "products.sqlite"
    async with shop(1500, window=600) as (sandbox, cj):
        await bring(cj, file)
        odd = sandbox.catalogue.pids[7::300]
        pieces = ListRows.pieces

        def spoilt(rows, numbers):
            text = b"".join(pieces(rows, numbers))
            for pid in odd:
                text = text.replace(
                    f'"pid":"{pid}",'.encode(), f'"pid":"{pid}","productWeight":"heavy","x":"'.encode() + b'",'
                )
            return [text]

        monkeypatch.setattr(ListRows, "pieces", spoilt)
        report = await bring(cj, file)
    assert report.tombstones == 0
    assert not any(marked(file).values())
