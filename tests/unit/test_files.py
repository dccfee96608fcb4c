"""A pipeline in a YAML, TOML or JSON file is the same pipeline; a bad file is told by its line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Pipeline, Stage, do, dump, load, on, templates
from ladderpipe.errors import DefinitionError
from ladderpipe.ladder.files import schema
from ladderpipe.ladder.guards import property_equals
from tests.ladders import ladders, sales_ladder
from tests.unit.ladders import everything

AT_HAND = [sales_ladder, everything, *(getattr(templates, name) for name in templates.names())]
SUFFIXES = [".yaml", ".yml", ".toml", ".json"]
VALIDATOR = jsonschema.Draft202012Validator(schema())

SMALL = """
name: small
stages: [{key: new}, {key: won, status: won}]
rules:
  - {on: came, into: new, opens: true}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def refusal(path: Path, allow: Any = ()) -> str:
    with pytest.raises(DefinitionError) as refused:
        load(path, allow)
    assert str(path) in str(refused.value)
    return str(refused.value)


def with_payload(**payload: Any) -> Pipeline:
    new = Stage("new", sequence=[do("email", **payload)])
    return Pipeline("p", stages=[new], rules=[on("a", into=new, opens=True)])


# -- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", AT_HAND)
def test_what_was_dumped_is_loaded_again(make: Any, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pipeline{suffix}"
    dump(make(), path)
    assert load(path, ["tests"]).to_dict() == make().to_dict()


@pytest.mark.parametrize("suffix", [".yaml", ".toml", ".json"])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_and_numbers_come_back_as_they_were(
    suffix: str, text: str, number: float, tmp_path: Path
) -> None:
    pipeline = with_payload(text=text, number=number, nested=[{"": text}, []])
    path = tmp_path / f"pipeline{suffix}"
    dump(pipeline, path)
    assert load(path).stages[0].sequence == pipeline.stages[0].sequence


@pytest.mark.parametrize("suffix", [".yaml", ".toml", ".json"])
@pytest.mark.parametrize(
    "text",
    [
        *("on", "no", "y", "null", "~", "=", "<<", "", "#", "a: b", ".inf"),
        *("18:00", "2026-01-06", "010", "0o17", "0x1F", "1e3", "1_000", "+1", "-.5", ".5"),
        *("line\nline\n", "\u2028", "\ufeff"),
    ],
)
def test_text_that_looks_like_something_else_stays_text(
    text: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"pipeline{suffix}"
    dump(with_payload(text=text), path)
    [step] = load(path).stages[0].sequence
    assert step == do("email", text=text)


def test_dumped_yaml_means_the_same_to_a_reader_of_yaml_1_1(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    for make in AT_HAND:
        dump(make(), path)
        assert yaml.safe_load(path.read_text("utf-8")) == make().to_dict()


def test_toml_refuses_null_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    with pytest.raises(DefinitionError, match=r"stages\[0\]\.sequence\[0\]\.payload\.to"):
        dump(with_payload(to=None), path)
    assert not path.exists()


def test_null_in_a_payload_or_guard_survives_yaml_and_json(tmp_path: Path) -> None:
    new = Stage("new", sequence=[do("email", to=None)])
    guard = property_equals("x", None)
    pipeline = Pipeline("p", stages=[new], rules=[on("a", into=new, opens=True, when=guard)])
    for suffix in (".yaml", ".json"):
        path = tmp_path / f"pipeline{suffix}"
        dump(pipeline, path)
        assert load(path).to_dict() == pipeline.to_dict()


# -- reading what people write ----------------------------------------------------------------


def test_a_bare_on_in_yaml_is_a_trigger(tmp_path: Path) -> None:
    assert load(write(tmp_path / "p.yaml", SMALL)).name == "small"


def test_bare_times_and_dates_in_yaml_are_text(tmp_path: Path) -> None:
    text = (
        "stages: [{key: new, sequence: [{do: x, payload: {at: 18:00, day: 2026-01-06, is: no}}]}]"
    )
    path = write(
        tmp_path / "p.yaml", SMALL.replace("stages: [{key: new}, {key: won, status: won}]", text)
    )
    assert load(path).stages[0].sequence == (do("x", at="18:00", day="2026-01-06", **{"is": "no"}),)


def test_anchors_save_repetition(tmp_path: Path) -> None:
    first = "  - {on: &cart [a, b], into: won, out_of: new}\n"
    second = "  - {on: *cart, into: new, out_of: won}\n"
    pipeline = load(write(tmp_path / "p.yaml", SMALL + first + second))
    assert pipeline.rules[1].trigger == pipeline.rules[2].trigger


def test_a_byte_order_mark_is_no_part_of_the_name(tmp_path: Path) -> None:
    for suffix, text in (
        (".yaml", SMALL),
        (".json", json.dumps(yaml.safe_load(SMALL.replace("on:", "'on':")))),
    ):
        path = tmp_path / f"p{suffix}"
        path.write_text(text, "utf-8-sig")
        assert load(path).name == "small"


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("p.yaml", "name: x\nstages: [\nrules: }\n", "line 3"),
        ("p.yaml", "name: x\nname: y\n", "line 2"),
        ("p.yaml", "name: !!python/object/apply:os.system [exit]\n", "line 1"),
        ("p.toml", 'name = "x"\nstages = [\n', "line 2"),
        ("p.toml", 'name = "x"\nname = "y"\n', "line 2"),
        ("p.json", '{"name": "x",\n}', "line 2"),
        ("p.json", '{"name": "x", "name": "y"}', "twice"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_by_its_line(
    name: str, text: str, line: str, tmp_path: Path
) -> None:
    assert line in refusal(write(tmp_path / name, text))


@pytest.mark.parametrize("name", ["p.yaml", "p.toml", "p.json"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    refusal(write(tmp_path / name, ""))


def test_a_file_names_the_part_that_is_malformed(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", SMALL.replace("into: new", "into: nwe"))
    assert "rules[0].into" in refusal(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(b'{"name": "caf\xe9"}')
    assert "UTF-8" in refusal(path)


def test_a_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    refusal(write(tmp_path / "p.json", "[" * 200_000))
    refusal(write(tmp_path / "p.yaml", "[" * 5_000 + "]" * 5_000))


def test_a_few_lines_of_anchors_cannot_fill_the_memory(tmp_path: Path) -> None:
    levels = "".join(f"  - &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
    refusal(write(tmp_path / "p.yaml", f"stages:\n  - &l0 [x]\n{levels}"))
    refusal(write(tmp_path / "q.yaml", "stages: &all [*all, *all]\n"))


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.ini", SMALL)
    assert ".yaml" in refusal(path)
    with pytest.raises(DefinitionError, match=r"\.toml"):
        dump(sales_ladder(), path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.yaml")


def test_functions_need_permission(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    dump(everything(), path)
    assert "allow" in refusal(path)


def test_the_ladders_we_ship_need_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    dump(templates.sales_management(), path)
    assert load(path).fingerprint == templates.sales_management().fingerprint


@pytest.mark.parametrize(("package", "suffix"), [("yaml", ".yaml"), ("tomli_w", ".toml")])
def test_a_missing_package_names_the_extra_to_install(
    package: str, suffix: str, tmp_path: Path
) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from ladderpipe import dump\nfrom ladderpipe.templates import kanban\n"
        "from ladderpipe.errors import DefinitionError\n"
        f"try: dump(kanban(), {str(tmp_path / f'p{suffix}')!r})\n"
        "except DefinitionError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "'.[files]'" in ran.stdout


# -- the schema -------------------------------------------------------------------------------


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("make", AT_HAND)
def test_every_definition_at_hand_is_valid(make: Any) -> None:
    VALIDATOR.validate(make().to_dict())


@given(ladders())
def test_every_definition_that_can_be_written_is_valid(pipeline: Pipeline) -> None:
    VALIDATOR.validate(pipeline.to_dict())


@pytest.mark.parametrize(
    "change",
    [
        {"rulse": []},
        {"name": ""},
        {"stages": []},
        {"stages": [{"key": "a b"}]},
        {"stages": [{"key": "a", "status": "gone"}]},
        {"rules": [{"into": "new"}]},
        {"rules": [{"into": "new", "on": ["a"], "by_hand": True}]},
        {"rules": [{"into": "new", "on": ["ladder.by_hand"]}]},
        {"rules": [{"into": "new", "after": {"hours": 1}, "opens": True}]},
        {"rules": [{"into": "new", "after": {"since": "opened"}}]},
        {"rules": [{"into": "new", "on": ["a"], "when": "cart_has_item"}]},
        {"rules": [{"into": "new", "on": ["a"], "when": {"all": []}}]},
        {"hooks": [{"call": "a:b"}]},
        {"hooks": [{"move_into": "new", "call": "ladderpipe.templates:Notice", "args": ["x"]}]},
    ],
)
def test_the_schema_refuses_what_from_dict_refuses(change: dict[str, Any]) -> None:
    data = {
        "name": "small",
        "stages": [{"key": "new"}],
        "rules": [{"on": ["came"], "into": "new", "opens": True}],
        **change,
    }
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(DefinitionError):
        Pipeline.from_dict(data)


def test_the_schema_describes_every_part_of_a_definition_to_editors() -> None:
    for part in ("stage", "rule"):
        for name, described in schema()["$defs"][part]["properties"].items():
            assert "description" in described or "$ref" in described, (part, name)
