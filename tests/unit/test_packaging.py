"""What a user gets: the wheel, its metadata, its entry points, and the names that the package makes public."""

import subprocess
import tomllib
from email import message_from_bytes
from email.message import Message
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

import cjasync
from cjasync.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    return ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: ZipFile) -> None:
    command = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "cjasync"]
    kept = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == {name for name in kept if (ROOT / name).exists()}
    assert "cjasync/py.typed" in shipped


def test_the_version_stands_in_one_place(metadata: Message) -> None:
    assert metadata["Version"] == cjasync.__version__
    assert "version" not in PROJECT
    places = [path for path in (ROOT / "cjasync").rglob("*.py") if f'"{cjasync.__version__}"' in path.read_text()]
    assert places == [ROOT / "cjasync" / "_version.py"]


def test_the_metadata_says_what_users_need(metadata: Message) -> None:
    assert metadata["Requires-Python"] == ">=3.11"
    core = {line.split(">")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert core == {"aiohttp", "msgspec", "aiolimiter", "backoff"}
    assert {"cli", "parquet", "duckdb", "redis", "otel", "all"} <= set(metadata.get_all("Provides-Extra", []))


@pytest.mark.parametrize("target", [PROJECT["scripts"]["cjasync"], PROJECT["entry-points"]["pytest11"]["cjasync"]])
def test_the_entry_points_lead_somewhere(target: str) -> None:
    module, _, name = target.partition(":")
    found = import_module(module)
    for inside in iter_modules(getattr(found, "__path__", [])):  # a module of that name would take its place
        assert inside.name != name
    assert not name or callable(getattr(found, name))


def test_every_public_name_is_there_and_listed_by_dir() -> None:
    assert set(cjasync.__all__) <= set(dir(cjasync))
    for name in cjasync.__all__:
        assert getattr(cjasync, name) is not None


def test_the_summary_of_each_command_is_that_of_its_function() -> None:
    for name, says in COMMANDS.items():
        command = getattr(import_module(f"cjasync.cli.{name}"), name)
        assert (command.__doc__ or "").splitlines()[0] == says


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cjasync.no_such_name
