"""Methods, one a file, in families: how networks learn. Here they are built by the name on their card."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown
from tutseg.methods.cards import CARDS
from tutseg.nets import CARDS as NETS
from tutseg.nets import card_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

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


def check_inputs(method: str, roles: "Iterable[str]") -> None:
    """Whether a trial gives a method every input that it needs to be trained; an InputError names one it does not."""
    for role in method_class(method).roles:
        if role not in roles:
            raise InputError(f"method {method} has no input {role}", f"pin one: --input {role}=ID, or {role}=SHA-256")


def build_method(name: str, /, inputs: "Mapping[str, Path] | None" = None, **options: Any) -> "Method":
    """Build a method by name.

    Parameters
    ----------
    name : str
        A name that ``tutseg methods`` lists.
    inputs : mapping of str to Path, optional
        Role -> weights file, to train; a method that will only predict is built without.
    **options
        The method's own.

    Raises
    ------
    InputError
        Unknown name, unknown option, an option's value that the method refuses, a net that lacks what it needs, or no
        file for a role.
    """
    cls = method_class(name)
    if inputs is not None and CARDS[name].kind != "one-image" and cls.roles:
        check_inputs(name, inputs)
        options["inputs"] = {role: inputs[role] for role in cls.roles}
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
        if key not in ("pretrained", "inputs") and parameter.default is not inspect.Parameter.empty
    }
    card = CARDS[name]
    return {"name": name, "kind": card.kind, "paper": card.paper, "about": inspect.getdoc(cls), "options": own}
