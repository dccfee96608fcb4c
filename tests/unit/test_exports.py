"""What is public, what ``import ladderpipe`` brings of it, and what it leaves to those who ask."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
import typing
from importlib.metadata import version
from types import ModuleType

import pytest

import ladderpipe
from ladderpipe import errors
from ladderpipe.stores import PostgresStore
from tests.docs.public import NEED_AN_EXTRA, PACKAGES, public_names

AT_TWO_PLACES = {"LadderError", "UndeliverableError", "MemoryStore", "PostgresStore", "SqliteStore"}
"""Exported at the top too, and at home where the others of their kind are."""

PUBLIC = [(package, name) for package in PACKAGES for name in public_names(package)]


CLASSES = {
    name for p, name in PUBLIC if isinstance(getattr(importlib.import_module(p), name), type)
}


class AnyName:
    """Stands for a module that is imported for type checkers only."""

    def __getattr__(self, name: str) -> type:
        return object


ONLY_FOR_CHECKERS = {"Problem": object, "alt": AnyName(), "defaultdict": dict}
"""What those files import under TYPE_CHECKING, and so is not found by anybody at run time."""


def python(code: str) -> str:
    """Run code in a process in which psycopg is not installed; return what it prints."""
    missing = "import sys; sys.modules['psycopg'] = sys.modules['psycopg_pool'] = None\n"
    return interpreter(missing + code)


def interpreter(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_at_home(package: str, name: str) -> bool:
    return package != "ladderpipe" or name not in AT_TWO_PLACES


def public_classes() -> list[type]:
    found = [getattr(importlib.import_module(package), name) for package, name in PUBLIC]
    return [each for each in found if isinstance(each, type)]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_exported_is_sorted_and_there(package: str) -> None:
    module = importlib.import_module(package)
    exported = module.__all__
    constants_first = sorted(exported, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert exported == constants_first
    assert len(set(exported)) == len(exported)
    assert all(hasattr(module, name) for name in exported)


def test_without_sqlalchemy_its_room_says_what_to_install() -> None:
    asked = """
import sys
sys.modules["sqlalchemy"] = None
import ladderpipe.stores
try:
    import ladderpipe.sqlalchemy
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    assert "sqlalchemy ladderpipe.sqlalchemy needs SQLAlchemy: " in interpreter(asked)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_exported_name_is_a_module(package: str) -> None:
    """``from ladderpipe import replay`` gives the function, whatever was imported before."""
    module = importlib.import_module(package)
    for name in module.__all__:
        assert not isinstance(getattr(module, name), ModuleType)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_everything_brings_what_is_exported_and_nothing_else(package: str) -> None:
    shown = interpreter(
        f"from {package} import *\nprint(*(n for n in dir() if not n.startswith('__')))"
    )
    assert set(shown.split()) == set(importlib.import_module(package).__all__)


LADDER = """
from ladderpipe import Event, Pipeline, Stage, on
new = Stage("new")
shop = Pipeline("shop", stages=[new], rules=[on("lead", into=new, opens=True)])
lead = Event("lead", deal="d", id="e", at="2026-01-05T09:00:00Z")
"""
FOLDED = f"{LADDER}shop.fold([lead])"
HANDLED = f"{LADDER}from ladderpipe import Board\nBoard.open(shop, 'sqlite://').handle(lead)"

OF_PEOPLE = ("edit", "hand", "options", "task_list", "withdraw")
OF_WORKERS = ("ask", "claim", "deliver", "publish", "release", "sweep", "worker")
NEEDED_BY_FEW = {
    "asyncio",
    "email",
    "html",
    "importlib.metadata",
    "opentelemetry",
    "secrets",
    "urllib.parse",
    "zoneinfo",
    *(f"ladderpipe.board.{room}" for room in (*OF_PEOPLE, *OF_WORKERS)),
    "ladderpipe.asynchronous",
    "ladderpipe.board.batch",
    "ladderpipe.board.listing",
    "ladderpipe.fold.explain",
    "ladderpipe.fold.unfolding",
    "ladderpipe.insight",
    "ladderpipe.ladder.check",
    "ladderpipe.ladder.policy",
    "ladderpipe.model.effect",
    "ladderpipe.model.notebook",
    "ladderpipe.model.report",
    "ladderpipe.observability.backlog",
    "ladderpipe.stores.filters",
    "ladderpipe.stores.memory",
}


def loaded(code: str) -> set[str]:
    """Return the modules that code loads beside those that an interpreter begins with."""
    shown = interpreter(
        f"import sys; before = set(sys.modules)\n{code}\nprint(*sys.modules.keys() - before)"
    )
    return set(shown.split())


def test_the_front_door_alone_loads_nothing_behind_it() -> None:
    assert {name for name in loaded("import ladderpipe") if "ladderpipe." in name} == set()


def test_who_only_folds_loads_no_board_and_no_database() -> None:
    rooms = {name for name in loaded(FOLDED) if name.startswith("ladderpipe.")}
    assert {name.split(".")[1] for name in rooms} == {
        *("errors", "public", "model", "ladder", "fold", "pipeline")
    }
    assert "sqlite3" not in loaded(FOLDED)


def test_a_first_event_loads_nothing_that_few_programs_need() -> None:
    assert loaded(HANDLED) & NEEDED_BY_FEW == set()


def test_all_that_is_public_is_listed_before_it_is_loaded() -> None:
    listed = interpreter("import ladderpipe; print(*dir(ladderpipe))").split()
    assert set(ladderpipe.__all__) <= set(listed)


@pytest.mark.parametrize("package", ["ladderpipe", "ladderpipe.stores"])
def test_everything_else_is_there_without_its_driver(package: str) -> None:
    assert python(f"from {package} import *; print(SqliteStore.__name__)") == "SqliteStore\n"


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=lambda text: text)
def test_what_is_public_says_where(package: str, name: str) -> None:
    found = getattr(importlib.import_module(package), name)
    if (isinstance(found, type) or inspect.isfunction(found)) and is_at_home(package, name):
        assert (found.__module__, found.__qualname__) == (package, name)


def test_it_says_so_whoever_loaded_it_first() -> None:
    """What is loaded when it is asked for may have been reached by another way before."""
    classes = [(p, n) for p, n in PUBLIC if is_at_home(p, n) and n in CLASSES]
    shown = interpreter(
        "import importlib, pkgutil, ladderpipe\n"
        "told = {}\n"
        "for found in pkgutil.walk_packages(ladderpipe.__path__, 'ladderpipe.'):\n"
        # Of an app, Django imports what it looks for once it has its settings.
        "    if not found.name.endswith('__main__') and 'django.' not in found.name:\n"
        "        for kind in vars(importlib.import_module(found.name)).values():\n"
        "            if isinstance(kind, type): told[kind] = kind.__module__\n"
        f"for package, name in {classes!r}:\n"
        "    said = told[getattr(importlib.import_module(package), name)]\n"
        "    if said != package: print(name, 'says', said)\n"
    )
    assert shown == ""


@pytest.mark.parametrize("kind", public_classes(), ids=repr)
def test_a_public_class_can_be_pickled(kind: type) -> None:
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_a_deal_is_unpickled_where_nothing_was_imported() -> None:
    stage = pickle.dumps(ladderpipe.Stage("won", status="won"))
    assert interpreter(f"import pickle; print(pickle.loads({stage!r}))") == "won\n"
    finding = pickle.dumps(ladderpipe.Reason.GUARD)
    assert interpreter(f"import pickle; print(pickle.loads({finding!r}).name)") == "GUARD\n"


@pytest.mark.parametrize("kind", public_classes(), ids=repr)
def test_its_annotations_are_found_as_before(kind: type) -> None:
    """As attrs, cattrs and Sphinx do, in the names of the file that defines the class."""
    typing.get_type_hints(kind, localns=ONLY_FOR_CHECKERS)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("├──", "").replace("└──", "").replace("│", "").split()
        if words and words[0].endswith("Error"):
            drawn[words[0]] = words[1:]
    assert set(drawn) == set(errors.__all__)
    for name, closest in drawn.items():
        bases = [base.__name__ for base in getattr(errors, name).__mro__]
        assert all(each in bases for each in closest)


def test_the_version_is_the_installed_one() -> None:
    assert ladderpipe.__version__ == version("ladderpipe")


@pytest.mark.parametrize("package", NEED_AN_EXTRA)
def test_the_postgresql_store_is_public(package: str) -> None:
    assert importlib.import_module(package).PostgresStore is PostgresStore


def test_asking_for_it_without_its_driver_says_what_to_install() -> None:
    asked = "import ladderpipe\ntry: ladderpipe.PostgresStore\nexcept Exception as e: print(e)"
    assert "pip install '.[postgres]'" in python(asked)


def test_a_name_that_is_not_there_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PostgreStore'"):
        ladderpipe.PostgreStore  # noqa: B018
