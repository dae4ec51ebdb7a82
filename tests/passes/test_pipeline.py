"""Pipelines: the printed form reads back, order is the user's, failures say where."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ir.examples import linear_chain
from tests.passes.models import KNOWN, model, of

from mansard.core.errors import MansardError, SpecError, UnknownNameError, VerifyError
from mansard.ir.graph import Graph
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten
from mansard.passes.options import option
from mansard.passes.pipeline import PassError, parse, run, with_level, written
from mansard.passes.quantize import FORMAT_NAMES, Quantize
from mansard.passes.technique import Outcome, Pass


@dataclass(frozen=True)
class Labelled(Pass):
    """A pass with an option of every type, which changes nothing."""

    name = "labelled"

    text: str = option("", "a text")
    count: int = option(1, "a whole number")
    rate: float = option(0.5, "a number")
    flag: bool = option(False, "yes or no")
    names: tuple[str, ...] = option((), "several texts")
    rate_bytes: float = option(0.0, "a rate", unit="bytes/s")


@dataclass(frozen=True)
class Last(Pass):
    """A pass that works on what another makes."""

    name = "last"
    requires = ("labelled",)
    conflicts = ("quantize",)


@dataclass(frozen=True)
class Breaks(Pass):
    """A pass that leaves its graph broken, or that has a bug."""

    name = "breaks"
    bug: bool = option(False, "raise what no pass should")

    def run(self, program: Program) -> Outcome:
        """Break."""
        if self.bug:
            raise ZeroDivisionError("one too many")
        raise VerifyError("two values are called %x", hint="rename one")

    def transform(self, graph: Graph) -> Rewritten:
        """Never reached."""
        raise AssertionError


ALL = {**KNOWN, "labelled": Labelled, "last": Last, "breaks": Breaks}

LABELLED = st.builds(
    Labelled,
    text=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
    count=st.integers(-(10**12), 10**12),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    names=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8),
        max_size=3,
    ).map(tuple),
)
QUANTIZE = st.builds(
    Quantize,
    weights=st.sampled_from(FORMAT_NAMES),
    kv=st.sampled_from(("", *FORMAT_NAMES)),
    group=st.integers(0, 4096),
    skip=st.lists(st.sampled_from(["lm_head", "layers.*.mlp", "a b"]), max_size=2).map(tuple),
)


@given(st.lists(st.one_of(LABELLED, QUANTIZE), max_size=4))
def test_the_printed_form_reads_back_equal(passes: list[Pass]) -> None:
    assert parse(written(passes), ALL) == tuple(passes)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("quantize:weights=int4,group=128", "quantize{weights=int4 group=128}"),
        ("quantize:weights=int4,fuse-attention", "quantize{weights=int4},fuse-attention"),
        ("fuse-attention:skip-masked=false", "fuse-attention{skip-masked=false}"),
        ("fuse-attention:skip_masked=false", "fuse-attention{skip-masked=false}"),
        ("quantize{weights=int4,group=128}", "quantize{weights=int4 group=128}"),
        ("quantize{weights=int4 skip=lm_head}", "quantize{weights=int4 skip=[lm_head]}"),
        ("labelled:text=a:b=c,flag=true", 'labelled{text="a:b=c" flag=true}'),
        ("labelled:rate_bytes=2GB/s", "labelled{rate-bytes=2000000000.0B/s}"),
        ("labelled:count=2,count=3", ""),
        ("  ", ""),
    ],
)
def test_the_short_form_says_the_same(short: str, long: str) -> None:
    if not long and short.strip():
        with pytest.raises(SpecError, match="twice"):
            parse(short, ALL)
    else:
        assert parse(short, ALL) == parse(long, ALL)
        assert written(parse(short, ALL)) == long


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fuse-atention", "fuse-attention"),
        ("quantize{weight=int4}", "weights"),
        ("quantize{weights=int4", "key=value"),
        ("quantize{weights}", "key=value"),
        ("quantize{weights=}", "key=value"),
        ("quantize weights=int4", "weights=…"),
        ("quantize{weights=[int4}", "key=value"),
        ("{", "key=value"),
        ("=", "key=value"),
        ('labelled{text="open}', "key=value"),
        ("labelled{count=many}", ""),
        ("labelled{count=1.5}", "whole"),
        ("labelled{flag=1}", "true or false"),
        ("labelled{text=[a b]}", "name"),
        ("x" * 30_000, "at most"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_an_action(text: str, words: str) -> None:
    with pytest.raises(MansardError) as caught:
        parse(text, ALL)
    assert caught.value.hint
    assert words in caught.value.hint


@given(st.text(alphabet='quantize{}[]:=," \\abc1.-', max_size=40))
def test_no_text_raises_anything_but_an_error_of_ours(text: str) -> None:
    try:
        found = parse(text, ALL)
    except MansardError:
        return
    assert parse(written(found), ALL) == found


def test_a_level_comes_last_and_leaves_out_what_is_placed_already() -> None:
    def names(text: str, level: str) -> list[str]:
        return [p.name for p in with_level(parse(text, KNOWN), level, KNOWN)]

    fused = ["fuse-attention", "fuse-elementwise", "merge-qkv"]
    assert names("", "O0") == []
    assert names("quantize{weights=int4}", "O1") == ["quantize", *fused]
    assert names("merge-qkv,quantize{weights=int4}", "O1") == ["merge-qkv", "quantize", *fused[:2]]
    assert names("fuse-attention{phase=decode}", "O1") == ["fuse-attention", *fused]
    with pytest.raises(UnknownNameError, match="O2"):
        names("", "O2")


def test_a_run_reports_each_pass_with_its_programs() -> None:
    program = model("gpt2")
    after, reports = run(program, parse("quantize{weights=int8},fuse-attention,merge-qkv", KNOWN))
    assert [r.technique.name for r in reports] == ["quantize", "fuse-attention", "merge-qkv"]
    assert reports[0].before is program
    assert reports[0].after is reports[1].before
    assert reports[-1].after is after
    assert [r.changed for r in reports] == ["48 weights", "12 attentions", ""]
    assert [n.code for n in reports[2].notes] == ["M020"]
    assert reports[2].before is reports[2].after


def test_no_pass_at_all_returns_the_program_itself() -> None:
    assert run(model("gpt2"), ()) == (model("gpt2"), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("last", "is not in the pipeline"),
        ("last,labelled", "comes after it"),
        ("quantize{weights=int8},labelled,last", "cannot follow quantize"),
        ("labelled{on=draft}", "no graph called 'draft'"),
        ("quantize{weights=int8 phase=encode}", "phase that calls 'target'"),
    ],
)
def test_a_pass_out_of_place_is_refused(text: str, words: str) -> None:
    with pytest.raises(MansardError, match=words) as caught:
        run(model("gpt2"), parse(text, ALL))
    assert caught.value.hint


def test_a_failure_names_the_pass_and_those_before_it() -> None:
    program = of(linear_chain())
    with pytest.raises(VerifyError, match=r"^breaks after labelled\{count=2\}: two values") as bad:
        run(program, parse("labelled{count=2},breaks", ALL))
    assert bad.value.hint == "rename one"
    with pytest.raises(PassError, match=r"^breaks\{bug=true\} failed after labelled$") as bug:
        run(program, parse("labelled,breaks{bug=true}", ALL))
    assert isinstance(bug.value.__cause__, ZeroDivisionError)


def test_order_matters_only_where_a_pass_says_so() -> None:
    program, _ = run(model("gpt2"), parse("labelled,last", ALL))
    assert program is model("gpt2")
