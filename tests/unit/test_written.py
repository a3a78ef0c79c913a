"""Whether the suite's own look-out (tests/written.py) sees a secret, wherever it is written."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).parents[2]
# Put together where it runs, so that the look-out over this run does not find them here.
SUITE = """
import asyncio, gzip, logging, sqlite3, subprocess, sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from cjasync import CJError, Cursor, hooks

KEY = "CJ1@api@" + 16 * "0"
TOKEN = "API@CJ1@" + "CJ:eyJ"
OPEN_ID = "8088" + 12 * "1"
PRINTS = "print('API@CJ1@' + 'CJ:eyJ0')"

def test_nothing(tmp_path):
    (tmp_path / f"tokens-{32 * 'a'}.json").write_text(TOKEN + "0")  # a store's own
    logging.getLogger("cjasync").info("%s", 88 * "8")
    print(KEY[:-1], "0." + OPEN_ID, TOKEN)

def test_log():
    logging.getLogger("cjasync.auth").debug("got %s", TOKEN + "0")

def test_traceback():
    try:
        raise LookupError(KEY)
    except LookupError:
        logging.getLogger("elsewhere").exception("failed")

def test_output():
    print(OPEN_ID)

def test_error():
    error = CJError("all is well")
    error.body = KEY.encode()

def test_event():
    hooks.emit([], hooks.CallEnded(endpoint=TOKEN + "0", call=1, seconds=0.1, attempts=1))

def test_cursor():
    str(Cursor("product/list", {"keyWord": KEY}, 1, 20))

def test_file(tmp_path):
    (tmp_path / "checkpoint.db").write_bytes(bytes(5000) + KEY.encode() + bytes(100))

def test_packed(tmp_path):
    lines = f"{40 * 'a line before'}, {KEY}, {OPEN_ID}\\n".encode()
    member = gzip.compress(lines)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"nothing") + member[:-4])
    (tmp_path / "lines.jsonl.zst").write_bytes(pa.compress(lines, "zstd", asbytes=True))
    column = {"name": ["a lamp", KEY], "ids": [[], [OPEN_ID]]}
    pa.parquet.write_table(pa.table(column), tmp_path / "it.parquet", compression="zstd")
    for name, connect in (("it.duckdb", duckdb.connect), ("it.sqlite", sqlite3.connect)):
        with closing(connect(tmp_path / name)) as db:
            db.execute("CREATE TABLE kept (key VARCHAR)")
            db.execute("INSERT INTO kept VALUES (?)", (8000 * "x" + KEY,))
            db.commit()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + bytes(100))

def test_thrown_away():
    with TemporaryDirectory() as folder:
        Path(folder, "cursor.txt").write_text(KEY)

def test_capsys(capsys):
    print(KEY)
    capsys.readouterr()

def test_process():
    subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, check=True)

def test_asyncio_process():
    async def main():
        told = {"stdout": asyncio.subprocess.PIPE}
        await (await asyncio.create_subprocess_exec(sys.executable, "-c", PRINTS, **told)).communicate()

    asyncio.run(main())

def test_complaint():
    async def main():
        asyncio.get_running_loop().create_future().set_exception(LookupError("forgotten"))

    asyncio.run(main())
"""
SAID = [
    "a token in the log of cjasync.auth, test_it.py::test_log: 'got ' and then the secret",
    "an API key in the log of elsewhere, test_it.py::test_traceback: ",
    "an openId in Captured stdout call, test_it.py::test_output: '' and",
    "an API key in the error CJError, test_it.py::test_error: ",
    'a token in an event, test_it.py::test_event: "CallEnded(endpoint=\'" and',
    "an API key in a cursor, test_it.py::test_cursor: ",
    "an API key in the output, test_it.py::test_capsys: ",
    "a token in the output of a process, test_it.py::test_process: ",
    "a token in the output of a process, test_it.py::test_asyncio_process: ",
    "the event loop complained, test_it.py::test_complaint: Future exception was never retrieved",
    "an API key in the file test_file0/checkpoint.db",
    "an API key in the file test_packed0/cut.jsonl.gz",
    "an openId in the file test_packed0/cut.jsonl.gz",
    "an API key in the file test_packed0/lines.jsonl.zst",
    "an API key in the file test_packed0/it.parquet",
    "an openId in the file test_packed0/it.parquet",
    "an API key in the file test_packed0/it.duckdb",
    "an API key in the file test_packed0/it.sqlite",
    "an API key in the file cursor.txt, test_it.py::test_thrown_away",
]


@contextmanager
def folder_of_its_own():
    """A folder that this run's look-out does not look into."""
    folder = mkdtemp()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def test_a_secret_is_seen_wherever_it_is_written():
    with folder_of_its_own() as folder:
        (Path(folder) / "test_it.py").write_text(SUITE)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.written", "-p", "no:cacheprovider", "test_it.py"]
        ran = subprocess.run(
            [*command, f"--basetemp={folder}/files"],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert "14 passed, 1 error" in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == 1
    _, _, told = ran.stdout.partition("the suite has written what it must not:\n")
    for said in SAID:
        assert any(line.startswith(said) for line in told.splitlines()), f"{said!r} is not in\n{told}"
    assert "test_nothing" not in told
