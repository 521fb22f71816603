"""Methods, one a file, in families: how networks learn. Here they are built by the name on their card."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown
from tutseg.methods.cards import CARDS
from tutseg.nets import CARDS as NETS
from tutseg.nets import card_of

if TYPE_CHECKING:
    from tutseg.methods.base import Method


def method_class(name: str) -> type:
    """The class behind a name that ``tutseg methods`` lists."""
    if name not in CARDS:
        raise unknown("method", name, CARDS)
    module, attribute = CARDS[name].target.split(":")
    return getattr(import_module(module), attribute)


def check_net(method: str, net: str, pretrained: bool = False) -> None:
    """Whether a network gives what a method needs, by their names; nothing is built.

    Raises
    ------
    InputError
        Unknown names, no pretrained weights, or what the network lacks and the networks that have it.
    """
    needs = method_class(method).needs
    lacking = [word for word in needs if word not in card_of(net, pretrained).gives]
    if lacking:
        have = [name for name, card in NETS.items() if set(needs) <= set(card.gives)]
        raise InputError(
            f"method {method} wants {' and '.join(lacking)} of its net, which {net} does not give",
            f"nets that do: {', '.join(have) or 'none'}",
        )


def build_method(name: str, **options: Any) -> "Method":
    """Build a method by name.

    Raises
    ------
    InputError
        Unknown name, unknown option, an option's value that the method refuses, or a net that lacks what it needs.
    """
    cls = method_class(name)
    if "net" in options and CARDS[name].kind != "one-image":
        check_net(name, options["net"], options.get("pretrained", False))
    return cls(**options)


def method_table() -> list[dict]:
    """Every method for ``tutseg methods``: name, kind, paper, summary."""
    return [{name: getattr(card, name) for name in ("name", "kind", "paper", "summary")} for card in CARDS.values()]


def describe(name: str) -> dict:
    """One method: its card, what its class says of itself, and for each own option its default and what it may be."""
    from tutseg.methods.options import in_words

    cls = method_class(name)
    own = {
        key: {"default": parameter.default, "expected": in_words(parameter.annotation)}
        for key, parameter in inspect.signature(cls).parameters.items()
        if key != "pretrained" and parameter.default is not inspect.Parameter.empty
    }
    card = CARDS[name]
    return {"name": name, "kind": card.kind, "paper": card.paper, "about": inspect.getdoc(cls), "options": own}
