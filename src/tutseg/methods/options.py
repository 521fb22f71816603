"""A method's options, declared once: in the annotations of its constructor.

``tau: Annotated[float, Field(ge=0.5, lt=1)] = 0.85`` is what `checked` refuses by, and what ``tutseg methods NAME``
prints.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, validate_call

from tutseg.errors import InputError, unknown
from tutseg.methods.cards import CARDS

Whole = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SomeShare = Annotated[float, Field(gt=0, le=1)]
Confidence = Annotated[float, Field(ge=0.5, le=1)]
PartShare = Annotated[float, Field(ge=0, lt=1)]

# Strict, so that "3", 2.5 or true is no whole number.
_CONFIG = ConfigDict(strict=True, allow_inf_nan=False)
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a word",
    "null": "null",
}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """Decorate a method's ``__init__``: a wrong option becomes a line that names it and what is expected."""
    strict = validate_call(init, config=_CONFIG)

    @wraps(init)
    def checked_init(self: Any, /, *args: Any, **options: Any) -> None:
        try:
            strict(self, *args, **options)
        except ValidationError as error:
            given = dict(zip(inspect.signature(type(self)).parameters, args, strict=False)) | options
            raise _in_one_line(type(self), given, error.errors()[0]) from None

    return checked_init


def _in_one_line(cls: type, given: dict[str, Any], fault: dict[str, Any]) -> InputError:
    """The error for the first `fault` that pydantic found in the arguments `given`."""
    target = f"{cls.__module__}:{cls.__name__}"
    name = next((card.name for card in CARDS.values() if card.target == target), cls.__name__)
    see = f"see `tutseg methods {name}`"
    parameters = inspect.signature(cls).parameters
    option = fault["loc"][0]
    if isinstance(option, int):  # given by its place, where `self` is argument 0
        option = dict(enumerate(parameters, 1)).get(option, f"argument {option}")
    if option not in parameters:
        wrong = unknown(f"option of method {name}", option, parameters)
        return InputError(wrong.what, f"{wrong.remedy}; {see}")
    value = f"= {given[option]!r}" if option in given else "is missing"
    return InputError(f"method {name}: {option} {value}", f"give {in_words(parameters[option].annotation)}; {see}")


def in_words(annotation: Any) -> str:
    """What an annotation allows.

    Examples
    --------
    >>> in_words(Annotated[float, Field(ge=0.5, lt=1)])
    'a number, at least 0.5 and below 1'
    """
    return _in_words(TypeAdapter(annotation).json_schema())


def _in_words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return "; or ".join(_in_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "prefixItems" in schema:
        each = {_in_words(one) for one in schema["prefixItems"]}
        return f"{len(schema['prefixItems'])} values, each {' or '.join(each)}"
    bounds = " and ".join(f"{word} {schema[key]:g}" for key, word in _BOUNDS.items() if key in schema)
    return ", ".join(filter(None, [_KINDS[schema["type"]], bounds]))
