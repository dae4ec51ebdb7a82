"""Activation functions as transformers spells them, and as the operators know them."""

from __future__ import annotations

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show

# transformers 5.23.0, activations.py, ACT2CLS: the names and what each computes.
ACTIVATIONS: dict[str, str] = {
    "relu": "relu",
    "relu2": "relu2",
    "silu": "silu",
    "swish": "silu",
    "sigmoid": "sigmoid",
    "xielu": "xielu",
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
}
"""A config's spelling → the operator's; ``gelu`` is the exact one, with ``erf``."""


def read_activation(fields: Fields, card: Card) -> str:
    """Return the function between the matrices of a feed-forward block.

    Raises:
        SpecError: the config and its class name none.
        UnknownNameError: no operator computes it.
    """
    setting = fields.decide(card.ffn.activation)
    name = setting if setting in ACTIVATIONS else fields.value(setting)
    if name is None:
        raise SpecError(f"{fields.where}: {setting} is null", hint='name one, for example "silu"')
    if name not in ACTIVATIONS:
        shown = show(name).strip("'")
        raise unknown_name(f"activation function ({fields.where}: {setting})", shown, ACTIVATIONS)
    return ACTIVATIONS[name]
