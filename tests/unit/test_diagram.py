"""A diagram shows every stage and every rule, and nothing in a title can break it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Pipeline, Stage, after, by_hand, on
from ladderpipe.errors import DefinitionError
from tests.ladders import ladders, sales_ladder
from tests.unit.ladders import everything

Format = Literal["mermaid", "dot"]
FORMATS: tuple[Format, ...] = ("mermaid", "dot")
HOSTILE = 'He said "hi" <b>x</b> & #35; `tick` \\N {a}[b](c)|d| %%{init} --> end; \\'


def small() -> Pipeline:
    new, won = Stage("new", title="Nuova", probability=0.25), Stage("won", status="won")
    return Pipeline(
        "small",
        stages=[new, won],
        rules=[
            on("came", into=new, opens=True),
            on("paid", "signed", into=won),
            after(hours=48, into=won),
            by_hand(into=won),
        ],
    )


def drawn(text: str) -> str:
    """The texts of a diagram on one line, as people read them."""
    return re.sub(r"(<br/>|\\n|\n)", " ", text)


@pytest.mark.parametrize("format", FORMATS)
def test_every_stage_event_type_delay_and_hand_is_drawn(format: Format) -> None:
    text = drawn(sales_ladder().diagram(format))
    for stage in sales_ladder().stages:
        assert stage.title in text
    for word in ("order.confirmed", "cart.emptied", "after 48 h", "by hand", "the cart is empty"):
        assert word in text


def test_mermaid_draws_events_timers_and_hands_differently() -> None:
    text = small().diagram()
    styles = [line.split(maxsplit=2)[2] for line in text.splitlines() if "linkStyle" in line]
    assert len(styles) == len(set(styles)) == 3
    assert "-->" in text
    assert "-.->" in text


def test_dot_draws_events_timers_and_hands_differently() -> None:
    text = small().diagram("dot")
    assert {"style=solid", "style=dashed", "style=dotted"} <= set(re.findall(r"style=\w+", text))


@pytest.mark.parametrize("format", FORMATS)
def test_the_opening_has_a_node_of_its_own(format: Format) -> None:
    assert "new deal" in small().diagram(format)


@pytest.mark.parametrize("format", FORMATS)
def test_rules_between_the_same_stages_share_an_arrow(format: Format) -> None:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("came", into=new, opens=True), on("a", into=won), on("b", into=won)]
    apart = [*rules[:2], by_hand(into=won)]
    together = Pipeline("p", stages=[new, won], rules=rules).diagram(format)
    separate = Pipeline("p", stages=[new, won], rules=apart).diagram(format)
    assert together.count("->") < separate.count("->")


@pytest.mark.parametrize("format", FORMATS)
def test_a_rule_that_leaves_every_open_stage_is_drawn_once(format: Format) -> None:
    text = sales_ladder().diagram(format)
    assert "from every open stage" in text
    assert "from any stage" in text
    assert text.count("checkout.started") == 1


@pytest.mark.parametrize("format", FORMATS)
def test_a_rule_that_names_many_stages_names_them_in_its_text(format: Format) -> None:
    stages = [Stage(f"s{n}", title=f"Stufe {n}") for n in range(6)]
    rules = [on("a", into=stages[0], opens=True), by_hand(into=stages[0], out_of=stages[1:])]
    text = drawn(Pipeline("p", stages=stages, rules=rules).diagram(format))
    assert "from Stufe 1, Stufe 2," in text


@pytest.mark.parametrize("key", ["end", "graph", "opening", "subgraph", "r0", "s1", "not_open"])
def test_a_stage_may_be_called_like_a_word_of_the_diagram_language(key: str) -> None:
    other = Stage("other")
    stage = Stage(key)
    rules = [on("a", into=stage, opens=True), on("b", into=other, out_of=stage)]
    plain = Stage("plain", title=key)
    renamed = [on("a", into=plain, opens=True), on("b", into=other, out_of=plain)]
    for format in FORMATS:
        one = Pipeline("p", stages=[stage, other], rules=rules).diagram(format)
        assert one == Pipeline("p", stages=[plain, other], rules=renamed).diagram(format)


def _hostile(text: str) -> Pipeline:
    stage = Stage("new", title=text)
    return Pipeline(text, stages=[stage], rules=[on(f"shop.{text}", into=stage, opens=True)])


@given(st.text(min_size=1).filter(str.strip))
def test_no_title_or_type_breaks_out_of_its_quotes_in_mermaid(text: str) -> None:
    lines = _hostile(text).diagram().splitlines()
    assert len(lines) == len(_hostile("x").diagram().splitlines())
    for line in lines[2:]:
        assert line.count('"') in (0, 2)
        quoted = re.sub(r"<br/>", "", "".join(re.findall(r'"(.*)"', line)))
        assert not re.search(r"[<>&`\\]|%%|#(?!\d+;)", quoted)


@given(st.text(min_size=1).filter(str.strip))
def test_no_title_or_type_breaks_out_of_its_quotes_in_dot(text: str) -> None:
    string = r'"(?:[^"\\]|\\[\\"n])*"'
    one, other = (
        re.sub(string, '""', _hostile(name).diagram("dot"), flags=re.DOTALL) for name in (text, "x")
    )
    assert one == other


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("make", [sales_ladder, everything, lambda: _hostile(HOSTILE)])
def test_graphviz_draws_it(make: object) -> None:
    assert callable(make)
    text = make().diagram("dot")
    ran = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
    assert "<svg" in ran.stdout
    assert not ran.stderr


@given(ladders())
def test_every_ladder_can_be_drawn(pipeline: Pipeline) -> None:
    for format in FORMATS:
        assert pipeline.diagram(format).endswith("\n")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(DefinitionError, match="mermaid"):
        small().diagram("svg")  # type: ignore[arg-type]
