"""What mansard ships, registered exactly as a third party would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.hooks import Backend, Frontend, hookimpl
from mansard.passes.shipped import technique_homes
from mansard.plugins import bundled

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

    own = map(_op, bundled.OPS)
    return [*OPS.values(), *own]


def _op(place: str) -> type[Op]:
    module, _, cls = place.partition(":")
    found: type[Op] = getattr(import_module(f"mansard.plugins.bundled.{module}"), cls)
    return found


def technique_names() -> tuple[str, ...]:
    """Return the names of the techniques; imports none of them."""
    return tuple(sorted(_homes()))


def technique(name: str) -> type[Pass]:
    """Import one technique by its name, which is its module's."""
    module, cls = _homes()[name]
    found: type[Pass] = getattr(import_module(module), cls)
    return found


def _homes() -> dict[str, tuple[str, str]]:
    """Return technique → (module, class): passes, then what is bundled as a plugin would be."""
    own = {n: (f"mansard.passes.{module}", cls) for n, (module, cls) in technique_homes().items()}
    return own | _bundled(bundled.TECHNIQUES)


def _bundled(places: Sequence[str]) -> dict[str, tuple[str, str]]:
    parts = (place.partition(":") for place in places)
    return {module.replace("_", "-"): (f"mansard.plugins.bundled.{module}", cls)
            for module, _, cls in parts}  # fmt: skip


@hookimpl
def mansard_passes() -> Sequence[type[Pass]]:
    """Register the techniques."""
    return [technique(name) for name in technique_names()]


@hookimpl
def mansard_backends() -> Sequence[Backend]:
    """Register the backends that answer in place of the roofline."""
    homes = _bundled(bundled.BACKENDS).values()
    return [getattr(import_module(module), cls)() for module, cls in homes]


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
