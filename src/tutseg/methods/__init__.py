"""Methods, one a file, in families: how networks learn. Here they are built by the name on their card."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown
from tutseg.methods.cards import CARDS

if TYPE_CHECKING:
    from tutseg.methods.base import Method


def method_class(name: str) -> type:
    """The class behind a name that ``tutseg methods`` lists."""
    if name not in CARDS:
        raise unknown("method", name, CARDS)
    module, attribute = CARDS[name].target.split(":")
    return getattr(import_module(module), attribute)


def build_method(name: str, **options: Any) -> "Method":
    """Build a method by name.

    Raises
    ------
    InputError
        Unknown name, unknown option or an option's value that the method refuses.
    """
    cls = method_class(name)
    try:
        return cls(**options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise InputError(
                f"method {name}: {str(error).split(') ')[-1].split('() ')[-1]}",
                f"see `tutseg methods {name}` for its options",
            ) from error
        raise


def method_table() -> list[dict]:
    """Every method for ``tutseg methods``: name, kind, paper, summary."""
    return [{name: getattr(card, name) for name in ("name", "kind", "paper", "summary")} for card in CARDS.values()]


def describe(name: str) -> dict:
    """One method: its card, what its class says of itself, and its own options with their defaults."""
    cls = method_class(name)
    own = {
        key: parameter.default
        for key, parameter in inspect.signature(cls).parameters.items()
        if key != "pretrained" and parameter.default is not inspect.Parameter.empty
    }
    card = CARDS[name]
    return {"name": name, "kind": card.kind, "paper": card.paper, "about": inspect.getdoc(cls), "options": own}
