"""What mansard ships, registered exactly as a third party would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.hooks import Frontend, hookimpl
from mansard.passes.shipped import technique_homes

if TYPE_CHECKING:
    from mansard.ir.op import Op
    from mansard.ir.program import Program
    from mansard.passes.technique import Pass


class ConfigFrontend:
    """Bundled models, and the ``config.json`` of a file, a folder or the local Hub cache."""

    name = "hf-config"
    options = ("inputs",)

    def accepts(self, source: str | Path | Mapping[str, Any]) -> bool:
        """Everything that is not another kind of file."""
        return not (isinstance(source, (str, Path)) and str(source).endswith((".onnx", ".toml")))

    def load(
        self,
        source: str | Path | Mapping[str, Any],
        overrides: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> Program:
        """Lower a config to a program that encodes, prefills or generates."""
        from mansard.frontends.hf.card_file import adding
        from mansard.frontends.hf.load import load
        from mansard.plugins import registry

        with adding({name: found.thing for name, found in registry.cards().items()}):
            return load(source, overrides, inputs)


@hookimpl
def mansard_ops() -> Sequence[type[Op]]:
    """Register the operators."""
    from mansard.ir.registry import OPS

    return list(OPS.values())


def technique_names() -> tuple[str, ...]:
    """Return the names of the techniques; imports none of them."""
    return tuple(technique_homes())


def technique(name: str) -> type[Pass]:
    """Import one technique by its name, which is its module's."""
    module, cls = technique_homes()[name]
    found: type[Pass] = getattr(import_module(f"mansard.passes.{module}"), cls)
    return found


@hookimpl
def mansard_passes() -> Sequence[type[Pass]]:
    """Register the techniques."""
    return [technique(name) for name in technique_names()]


@hookimpl
def mansard_frontends() -> Sequence[Frontend]:
    """Register the frontends of ONNX files and of Hugging Face configs."""
    from mansard.frontends.onnx.frontend import OnnxFrontend

    return [OnnxFrontend(), ConfigFrontend()]


@hookimpl
def mansard_hardware() -> Mapping[str, str]:
    """Register the chips; their files are read when one is used."""
    from mansard.backends.chips import bundled

    return dict.fromkeys(bundled(), "")


@hookimpl
def mansard_models() -> Mapping[str, Mapping[str, Any]]:
    """Register the models by name; their configs are read when one is used."""
    from mansard.frontends.hf.bundled import names

    return {name: {} for name in names()}
