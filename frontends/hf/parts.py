"""What a stack has besides layers of a language model: a stem, a head, cross-attention."""

from __future__ import annotations

from typing import Any, get_args

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.activations import ACTIVATIONS
from mansard.frontends.hf.cards import Setting
from mansard.frontends.hf.convnets import ConvNet, convnet
from mansard.frontends.hf.ends import Transform
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.mixers import Cross, make_mixer
from mansard.frontends.hf.picks import choice
from mansard.frontends.hf.schedule import mentioned
from mansard.frontends.hf.towers import Frames, Head, HeadKind, HeadNorm, Patches, Spectrogram, Stem

IMAGE = 896
"""Side of an image where a model takes any and its config states none [pixels]: 64 patches of 14,
8 windows of 112, 28 tokens of 32."""
MOST_MERGED = 256
STEMS = ("patches", "frames", "spectrogram", "convnet")


def stem_of(fields: Fields) -> Stem | None:
    """Return what makes hidden states of images or sounds; ``None`` where tokens are looked up.

    Raises:
        SpecError: an image smaller than a patch.
    """
    card = fields.card.stem
    if card is None:
        return None
    given = {
        name: setting if name == "cut" else fields.setting(setting)  # a word of its own, no key
        for name, setting in card.fields.items()
    }
    for name, value in given.items():
        if value is None:
            keys = ", ".join(mentioned(card.fields[name]))
            raise SpecError(
                f"{fields.where}: {keys or name} is missing", hint=f"add {keys} to the config"
            )
    if card.kind == "frames":
        return Frames(**given)
    if card.kind == "convnet":
        return _network(fields, convnet(str(given["name"])))
    if card.kind == "spectrogram":
        widths = given["channels"]  # one for all, halving as often as the card says, or a list
        widths = [widths] * given.pop("halvings") if isinstance(widths, int) else widths
        if not widths or not all(type(width) is int and width > 0 for width in widths):
            hint = "list the channels of each convolution, at least 1"
            raise SpecError(f"{fields.where}: convolutions of {show(widths)} channels", hint=hint)
        return Spectrogram(**{**given, "channels": tuple(widths)})
    if card.kind != "patches":
        raise unknown_name("stem of a card", card.kind, STEMS)
    rows = given.pop("rows", True)
    if pins := given.get("pins"):
        given["pins"] = _pins(fields, pins, given["image"])
    stem = Patches(**{"image": IMAGE, **given})
    if stem.image < stem.size:
        raise SpecError(
            f"{fields.where}: image_size {stem.image} is less than one patch of {stem.size}",
            hint="make image_size a multiple of patch_size",
        )
    if rows is True:  # one position a token
        rows = (stem.image // stem.size) ** 2 + stem.start
    return Patches(**{"image": IMAGE, **given, "rows": int(rows)})


def _pins(fields: Fields, pins: Any, image: int) -> tuple[tuple[int, int], ...]:
    """Return the canvases a config lists, each a whole number of crops high and wide."""
    for pin in pins:
        sides = pin if isinstance(pin, list) and len(pin) == 2 else [0]
        if not all(type(side) is int and side > 0 and side % image == 0 for side in sides):
            hint = f"write [height, width], multiples of {image} pixels"
            raise SpecError(f"{fields.where}: image_grid_pinpoints holds {show(pin)}", hint=hint)
    return tuple((tall, wide) for tall, wide in pins)


def _network(fields: Fields, net: ConvNet) -> ConvNet:
    hidden = fields.whole(str(fields.card.hidden))
    if hidden != net.features:
        raise SpecError(
            f"{fields.where}: hidden_size is {hidden}, but the network makes {net.features}",
            hint=f"make hidden_size {net.features}",
        )
    return net


def head_of(fields: Fields) -> Head | None:
    """Return what is made of the last hidden states; ``None`` is a language model's logits."""
    card = fields.card.head
    kind = fields.decide(card.kind)
    if kind == "lm":
        return None
    if kind not in get_args(HeadKind):
        raise unknown_name("head of a card", str(kind), get_args(HeadKind))
    depth = fields.setting(card.depth)
    count = fields.setting(fields.card.layers)
    merge = fields.setting(card.merge)
    if merge is None or not 1 <= merge <= MOST_MERGED:
        keys = ", ".join(mentioned(card.merge))
        raise SpecError(
            f"{fields.where}: squares of {merge} patches a side become one token ({keys})",
            hint=f"make it 1 to {MOST_MERGED}",
        )
    return Head(
        kind=kind,
        width=fields.setting(card.width) or 0,
        bias=fields.flag(card.bias),
        picks_first=card.picks_first,
        depth=None if depth is None else _depth(fields, depth, count),
        merge=merge,
        tokens=fields.setting(card.tokens) or 0,
        taps=tuple(fields.setting(card.taps) or ()),
        activation=_activation(fields, card.activation),
        offset=card.offset,
        separators=card.separators,
        mean=card.mean,
        pools=fields.flag(card.pools),
        rows=fields.setting(card.rows) or 0,
        scaled=card.scaled,
        norm=choice(fields, "norm of a head", card.norm, HeadNorm),
        squares=card.squares,
        inner=fields.setting(card.inner) or 0,
        narrows=card.narrows,
        widths=tuple(int(fields.setting(width)) for width in card.widths),
    )


def transform_of(fields: Fields, width: int) -> Transform | None:
    """Return what a head does before its matrix, ``width`` wide unless the card says otherwise."""
    card = fields.card.head
    if not card.transform or fields.decide(card.kind) != "lm":
        return None
    wide, fn = fields.setting(card.width) or width, _activation(fields, card.activation)
    return Transform(wide, fn, fields.flag(card.transform_bias))


def cross_of(fields: Fields) -> Cross | None:
    """Return the attention over an encoder's memory that every layer has."""
    card = fields.card.cross
    if card is None:
        return None
    values = {name: fields.setting(setting) for name, setting in card.fields.items()}
    if values.get("head_dim") is None:
        values["head_dim"] = fields.whole(str(fields.card.hidden)) // values["heads"]
    made: Any = make_mixer(Cross.kind, values, fields.where)
    return made if isinstance(made, Cross) else None


def _depth(fields: Fields, stated: int, count: int) -> int:
    """Return how many layers lie below the hidden states read: -1 is all, -2 all but the last."""
    depth = count + 1 + stated if stated < 0 else stated
    if not 0 < depth <= count:
        raise SpecError(
            f"{fields.where}: features of layer {stated} of a tower of {count} layers",
            hint=f"vision_feature_layer is between -{count} and -1, or 1 and {count}",
        )
    return depth


def _activation(fields: Fields, setting: Setting) -> str:
    chosen = fields.decide(setting)
    name = chosen if chosen in ACTIVATIONS else fields.value(chosen)
    if name not in ACTIVATIONS:
        raise unknown_name(f"activation function ({fields.where})", show(name), ACTIVATIONS)
    return ACTIVATIONS[name]
