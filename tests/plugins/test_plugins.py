"""Plugins: found by entry point, listed with where they came from, blamed by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import mansard as ms
from mansard.core.errors import PluginError, UnknownNameError
from mansard.passes.technique import Pass
from mansard.plugins import builtin, loading, registry

Install = Callable[..., None]
Run = Callable[..., Any]
EXAMPLE = "tests.example_plugin"


def test_what_mansard_ships_is_registered_like_a_plugin(install: Install) -> None:
    assert loading.registry().owners == {"mansard": "mansard"}
    assert loading.registry().manager.get_plugin("mansard") is builtin
    assert {p.owner for p in registry.passes().values()} == {"mansard"}
    assert "quantize" in registry.passes()
    assert "hf-config" in registry.frontends()
    assert "linear" in registry.ops()
    assert "h100-sxm" in registry.hardware()
    assert "gpt2" in registry.models()


def test_techniques_are_imported_when_they_are_asked_for_and_are_called_as_their_modules(
    install: Install,
) -> None:
    install("example", EXAMPLE)
    found = registry.Passes()
    assert list(found) == [*builtin.technique_names(), "name-softmax"]
    assert {name: cls.name for name, cls in found.items()} == {name: name for name in found}
    assert {name: p.thing for name, p in registry.passes().items()} == dict(found)
    assert len(found) == len(registry.passes())


def test_a_plugins_things_are_there_with_their_distribution(install: Install) -> None:
    install("example", EXAMPLE, "mansard-example")
    assert registry.passes()["name-softmax"].owner == "mansard-example"
    found = registry.provisions()["example"]
    assert found == {"techniques": ("name-softmax",), "chips": ("toaster",),
                     "models": ("tiny-example",)}  # fmt: skip


def test_a_plugins_technique_and_model_run(install: Install) -> None:
    install("example", EXAMPLE)
    estimate = ms.analyze(
        "tiny-example", on="h100-sxm", techniques=["name-softmax{prefix=my}"], level="O0"
    )
    assert "my.layers.softmax" in {row.name for row in estimate.decode.ops}
    assert estimate.techniques[0].changed == "2 softmaxs"
    assert estimate.model.params == 100 * 64 * 2 + 64 + 2 * (64 * (64 + 32 + 32 + 64 + 3 * 128 + 2))


def test_a_plugins_chip_is_loaded_by_name(install: Install) -> None:
    from mansard.query.named import chip, chip_names

    install("example", EXAMPLE)
    assert "toaster" in chip_names()
    assert chip("toaster").capacity_bytes == 10**12


def test_the_lists_show_what_came_from_where(install: Install, run: Run) -> None:
    install("example", EXAMPLE, "mansard-example")
    listed = {p["name"]: p for p in json.loads(run("plugins", "list", "-f", "json").out)}
    assert listed["mansard-example"]["provides"]["techniques"] == ["name-softmax"]
    assert listed["mansard-example"]["version"] == "1.2.3"
    owners = {t["name"]: t["owner"] for t in
              json.loads(run("techniques", "list", "-f", "json").out)}  # fmt: skip
    assert owners["name-softmax"] == "mansard-example"
    assert owners["quantize"] == "mansard"
    (chip,) = json.loads(run("hardware", "list", "--grep", "toast", "-f", "json").out)
    assert (chip["id"], chip["from"]) == ("toaster", "mansard-example")
    (tiny,) = json.loads(run("models", "list", "--grep", "tiny-ex", "-f", "json").out)
    assert (tiny["name"], tiny["from"]) == ("tiny-example", "mansard-example")
    shown = run("techniques", "show", "name-softmax").out
    assert "mansard-example" in shown
    assert "what the name begins with" in shown
    assert "mansard-example 1.2.3" in run("doctor").out


def test_the_environment_limits_what_is_loaded(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("example", EXAMPLE)
    install("other", {})
    monkeypatch.setenv(loading.LIMIT, "other")
    loading._registry.cache_clear()
    assert set(loading.registry().owners) == {"mansard", "other"}
    monkeypatch.setenv(loading.LIMIT, "")
    loading._registry.cache_clear()
    assert set(loading.registry().owners) == {"mansard"}
    monkeypatch.setenv(loading.LIMIT, "exampel")
    loading._registry.cache_clear()
    with pytest.raises(UnknownNameError, match="exampel"):
        loading.registry()


def test_two_things_of_one_name_are_an_error_that_names_both_owners(install: Install) -> None:
    install("a", EXAMPLE, "dist-a")
    install("b", {"mansard_models": {"tiny-example": {"model_type": "llama"}}}, "dist-b")
    with pytest.raises(PluginError, match="'tiny-example': of dist-a and of dist-b"):
        registry.models()


def test_a_name_of_mansards_own_is_taken(install: Install) -> None:
    install("c", {"mansard_models": {"gpt2": {"model_type": "llama"}}}, "dist-c")
    with pytest.raises(PluginError, match="'gpt2': of mansard and of dist-c"):
        registry.models()


def test_two_plugins_of_one_name_are_an_error_that_names_both_owners(install: Install) -> None:
    install("same", {}, "dist-a")
    install("same", {}, "dist-b")
    with pytest.raises(PluginError, match="'same': of dist-a and of dist-b"):
        loading.registry()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("no_such_module_at_all", "ModuleNotFoundError"),
        ({"mansard_pases": []}, "mansard_pases, which is no hook; did you mean mansard_passes"),
        ({"mansard_passes": RuntimeError("no licence")}, "no licence"),
        ({"mansard_passes": None}, "it returned nothing, not a list of techniques"),
        ({"mansard_passes": {}}, "it returned a dict, not a list of techniques"),
        ({"mansard_passes": [object]}, "a list with the class object in it"),
        ({"mansard_passes": [Pass]}, "Pass has no name"),
        ({"MANSARD_API": 99}, "made for version 99 of the hooks, this mansard has 1"),
    ],
)
def test_a_plugin_that_fails_is_named_with_exit_code_4_or_skipped(
    install: Install, run: Run, module: str | dict[str, object], words: str
) -> None:
    install("broken", module, "broken-dist")
    asked = ("analyze", "gpt2", "--on", "h100-sxm")
    ran = run(*asked)
    assert (ran.code, ran.out) == (4, "")
    assert "broken-dist" in ran.err
    assert words in ran.err
    assert "--ignore-broken-plugins" in ran.err
    for skip, code in ((), 4), (("--ignore-broken-plugins",), 0):
        ran = run(*skip, "techniques", "list", "-f", "json")
        assert ran.code == code
        assert {t["owner"] for t in json.loads(ran.out)} == {"mansard"}
        assert "broken-dist" in ran.err
        assert words in ran.err
    ran = run("--ignore-broken-plugins", *asked, "-f", "json")
    assert ran.code == 0
    assert any(w["code"] == "M050" for w in json.loads(ran.out)["warnings"])
    assert run(*asked).code == 4  # the leniency ends with the command it was given to


def test_the_doctor_says_which_plugin_is_ill(install: Install, run: Run) -> None:
    install("broken", "no_such_module_at_all", "broken-dist")
    ran = run("doctor")
    assert ran.code == 1
    assert "broken-dist" in ran.out


def test_a_bug_in_a_plugins_pass_names_pass_and_distribution(install: Install, run: Run) -> None:
    install("example", EXAMPLE, "mansard-example")
    asked = ("analyze", "gpt2", "--on", "h100-sxm", "-t", "name-softmax:bug=true")
    ran = run(*asked)
    assert ran.code == 4
    assert "name-softmax{bug=true}" in ran.err
    assert "mansard-example" in ran.err
    assert "nobody tried this" in ran.err
