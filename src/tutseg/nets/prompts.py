"""What a promptable net refuses to be told, in one line each, before it computes anything."""

import torch
from torch import Tensor

from tutseg.errors import InputError


def check_prompts(
    size: int,
    embedding: Tensor,
    points: Tensor | None = None,
    boxes: Tensor | None = None,
    mask_logits: Tensor | None = None,
    tokens: Tensor | None = None,
) -> None:
    """Whether prompts have the shapes and ranges that `tutseg.nets.common.Promptable.decode` states.

    Parameters
    ----------
    size : int
        Height and width of the net's pictures.
    embedding : Tensor
        ``(B, D, h, w)``.

    Raises
    ------
    InputError
        No tensor of floats, another shape, a prompt outside the picture, a box without area, a click that is neither
        on the thing nor beside it, a number that is not finite.
    """
    b, width = embedding.shape[:2]
    wanted = {
        "points": (points, (b, None, 3)),
        "boxes": (boxes, (b, 4)),
        "mask_logits": (mask_logits, (b, 1, size, size)),
        "tokens": (tokens, (b, None, width)),
    }
    for name, (prompt, shape) in wanted.items():
        if prompt is not None:
            if not (isinstance(prompt, Tensor) and prompt.is_floating_point()):
                raise InputError(
                    f"prompt {name} is no tensor of floats", "give one; of a mask it holds logits, not true and false"
                )
            _check_shape(name, prompt, shape)
            if not bool(torch.isfinite(prompt).all()):
                raise InputError(
                    f"prompt {name} holds a number that is not finite",
                    "give finite numbers; damaged weights, and a training that diverged, make others",
                )
    if points is not None:
        _check_places("click", points[..., :2].flatten(0, 1))
        if not bool(((points[..., 2] == 0) | (points[..., 2] == 1)).all()):
            raise InputError("a click is neither on the thing nor beside it", "give 1 (on) or 0 (beside) as its third")
    if boxes is not None:
        _check_places("box", boxes)
        empty = (boxes[:, 2:] <= boxes[:, :2]).any(1).nonzero()
        if len(empty):
            raise InputError(
                f"the box {_numbers(boxes[empty[0, 0]])} has no area",
                "give left, top, right, bottom: a corner and its opposite",
            )


def _check_shape(name: str, prompt: Tensor, shape: tuple[int | None, ...]) -> None:
    got = tuple(prompt.shape)
    if len(got) != len(shape) or any(want not in (None, have) for want, have in zip(shape, got, strict=True)):
        said = ", ".join("N" if want is None else str(want) for want in shape)
        raise InputError(f"prompt {name} has the shape {got}", f"give ({said}), one set for each picture")


def _check_places(what: str, places: Tensor) -> None:
    outside = ((places < 0) | (places > 1)).any(1).nonzero()
    if len(outside):
        raise InputError(
            f"the {what} {_numbers(places[outside[0, 0]])} lies outside the picture",
            "give shares of its width and height, in [0, 1]",
        )


def _numbers(values: Tensor) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values.tolist())})"
