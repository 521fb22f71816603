"""Figures of SAM-KD that a reader moves: what SAM answers to a prompt, and what its answer teaches."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import ndimage
from scipy.special import expit

from tutseg.errors import InputError
from tutseg.methods.distillation.common import box_of
from tutseg.methods.distillation.prompting import SURE, moved
from tutseg.nets.common import Promptable
from tutseg.report.explorers import COLOURS, judged, outlined
from tutseg.report.interactive import Control, InteractiveFigure, data_uri

KINDS = ("click", "box", "mask")
PLACES = tuple(range(5, 100, 5))  # per cent of the picture's width and height at which a page knows SAM's answer
MARK = (240, 228, 66)  # the colour of a prompt
SECOND = (86, 180, 233)  # of lesion B's outline; A's is white
PARTS = ("lesion, in the answer", "skin, in the answer", "lesion, not in the answer", "skin, not in the answer")
NUMBERS = ("Dice with lesion A", "Dice with lesion B", "best Dice of the mask that was told", "IoU that SAM expects")
BATCH = 128


class PromptExplorer(InteractiveFigure):
    """A click, a box or a mask is moved over a picture of two lesions, and SAM answers.

    Box and mask are those of lesion A, moved by whole pixels. With a kernel SAM is asked; a page has its answers on a
    lattice of places.

    Parameters
    ----------
    net : Promptable
        In evaluation mode, for pictures of this size.
    image : numpy.ndarray
        uint8 RGB ``(H, H, 3)``.
    lesions : sequence of numpy.ndarray
        Masks of the lesions A and B, boolean ``(H, H)``.

    Raises
    ------
    InputError
        There are not two lesions of the picture's size, or one is empty.
    """

    kind = "prompts"
    key: ClassVar = dict(zip(PARTS, COLOURS.values(), strict=True)) | {"prompt": MARK, "outline of lesion B": SECOND}
    live_steps: ClassVar = {"across": 1, "down": 1}

    def __init__(
        self,
        net: Promptable,
        image: np.ndarray,
        lesions: Sequence[np.ndarray],
        title: str = "What SAM answers when a prompt is moved over a picture of two lesions.",
    ) -> None:
        if [mask.shape for mask in lesions] != [image.shape[:2]] * 2 or not all(mask.any() for mask in lesions):
            raise InputError("the explorer wants two lesions of the picture's size", "give the masks of a drawn scene")
        self.net, self.image, self.lesions, self.title = net, image, [mask > 0 for mask in lesions], title
        self.size, self.decimals = len(image), {}
        floats = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            self.embedding = net.embed(floats)
        self.box = self._pixels(box_of(torch.from_numpy(self.lesions[0])[None, None].float())[0])
        self.known: dict[tuple[str, int, int], tuple[np.ndarray, float]] = {}
        for kind in KINDS:
            states = [(kind, across, down) for down in PLACES for across in PLACES]
            self.known |= zip(states, self._ask(states), strict=True)
        places = {"low": PLACES[0], "high": PLACES[-1], "step": PLACES[1] - PLACES[0]}
        middle = [self._nearest((low + high) / 2) for low, high in zip(self.box[:2], self.box[2:], strict=True)]
        self.controls = (
            Control("told", "told by", "click", choices=KINDS),
            Control("across", "across, % of the width", middle[0], **places),
            Control("down", "down, % of the height", middle[1], **places),
        )

    def _pixels(self, box: torch.Tensor) -> list[int]:
        return [round(float(edge) * self.size) for edge in box]

    def _nearest(self, pixel: float) -> int:
        """The place that is nearest to a pixel."""
        return min(PLACES, key=lambda place: abs(place * self.size - 100 * pixel))

    def _shift(self, across: float, down: float) -> tuple[int, int]:
        """By how many pixels lesion A is moved to have its box's middle at a place: down, across."""
        left, top, right, bottom = self.box
        at = int(across * self.size // 100), int(down * self.size // 100)
        return at[1] - (top + bottom) // 2, at[0] - (left + right) // 2

    def told_mask(self, across: float, down: float) -> np.ndarray:
        """Lesion A at a place, boolean ``(H, H)``."""
        return moved(self.lesions[0], *self._shift(across, down))

    def told_box(self, across: float, down: float) -> list[int]:
        """Left, top, right and bottom edge of A's box at a place, in pixels; cut at the picture's edge."""
        by_y, by_x = self._shift(across, down)
        return [min(max(edge + by, 0), self.size) for edge, by in zip(self.box, (by_x, by_y) * 2, strict=True)]

    def marks(self, told: str, across: float, down: float) -> np.ndarray:
        """The pixels ``(H, H)`` that show a prompt: a cross, a frame, an outline."""
        drawn = np.zeros((self.size, self.size), bool)
        if told == "mask":
            mask = self.told_mask(across, down)
            return mask & ~ndimage.binary_erosion(mask)
        if told == "box":
            left, top, right, bottom = self.told_box(across, down)
            drawn[top:bottom, left:right] = True
            drawn[top + 1 : bottom - 1, left + 1 : right - 1] = False
            return drawn
        x, y = int(across * self.size // 100), int(down * self.size // 100)
        drawn[max(y - 2, 0) : y + 3, x] = drawn[y, max(x - 2, 0) : x + 3] = True
        return drawn

    @torch.inference_mode()
    def _ask(self, states: Sequence[tuple[str, float, float]]) -> list[tuple[np.ndarray, float]]:
        """SAM's mask ``(H, H)`` for each of some prompts of one kind, and the IoU that it expects of it."""
        found = []
        for at in range(0, len(states), BATCH):
            some = states[at : at + BATCH]
            if some[0][0] == "click":
                prompt = {"points": torch.tensor([[[x / 100, y / 100, 1.0]] for _, x, y in some])}
            elif some[0][0] == "box":
                prompt = {"boxes": torch.tensor([self.told_box(x, y) for _, x, y in some]) / self.size}
            else:
                masks = torch.from_numpy(np.stack([self.told_mask(x, y) for _, x, y in some]))[:, None]
                prompt = {"mask_logits": SURE * (2 * masks.float() - 1)}
            out = self.net.decode(self.embedding.expand(len(some), -1, -1, -1), **prompt)
            iou = out.heads["iou"][:, 1:].amax(1) if some[0][0] == "click" else out.heads["iou"][:, 0]
            found += zip((out.logits[:, 0] > 0).numpy(), iou.tolist(), strict=True)
        return found

    def answer(self, told: str, across: float, down: float) -> tuple[np.ndarray, float]:
        """SAM's mask ``(H, H)``, and the IoU with the truth that it expects of it."""
        state = (told, across, down)
        if state not in self.known:
            (self.known[state],) = self._ask([state])
        return self.known[state]

    def clicks(self) -> dict[str, float]:
        """Of the page's clicks: what share of those on skin is answered; the mean IoU expected there, on lesions."""
        there = self.lesions[0] | self.lesions[1]
        each: dict[bool, list[tuple[bool, float]]] = {True: [], False: []}
        for down in PLACES:
            for across in PLACES:
                mask, iou = self.answer("click", across, down)
                on = bool(there[down * self.size // 100, across * self.size // 100])
                each[on].append((bool(mask.any()), iou))
        answered, on_skin = np.mean(each[False], axis=0)
        return {"answered": float(answered), "skin": float(on_skin), "lesion": float(np.mean(each[True], axis=0)[1])}

    def numbers(self, told: str, across: float, down: float) -> dict[str, float | None]:
        """Dice with each lesion, the better Dice of a mask prompt itself, and what SAM thinks of its answer."""
        mask, iou = self.answer(told, across, down)
        own = max(_dice(self.told_mask(across, down), each) for each in self.lesions) if told == "mask" else None
        values = [*(_dice(mask, each) for each in self.lesions), own, iou]
        return {words: None if value is None else round(value, 4) for words, value in zip(NUMBERS, values, strict=True)}

    def panels(self, told: str, across: float, down: float) -> dict[str, np.ndarray]:
        """The prompt on the picture, and the answer coloured by what it hits."""
        both = self.lesions[0] | self.lesions[1]
        picture = self._outlined()
        picture[self.marks(told, across, down)] = MARK
        return {
            "the prompt; lesion A is outlined in white": picture,
            "the answer": judged(self.answer(told, across, down)[0], both),
        }

    def _outlined(self) -> np.ndarray:
        return outlined(outlined(self.image, self.lesions[0]), self.lesions[1], SECOND)

    def stills(self) -> list[dict[str, Any]]:
        """Each kind of prompt on lesion A and on lesion B."""
        boxes = [self._pixels(box_of(torch.from_numpy(mask)[None, None].float())[0]) for mask in self.lesions]
        middles = [[self._nearest((b[i] + b[i + 2]) / 2) for i in (0, 1)] for b in boxes]
        return [{"told": told, "across": x, "down": y} for told in KINDS for x, y in middles]

    def data(self) -> dict[str, Any]:
        """All answers and prompts on the lattice in one PNG, a bit each; the picture; the numbers."""
        rows = []
        for down in PLACES:
            tiles = []
            for across in PLACES:
                bits = np.zeros((self.size, self.size), np.uint8)
                for i, told in enumerate(KINDS):
                    bits |= self.answer(told, across, down)[0].astype(np.uint8) << i
                    bits |= self.marks(told, across, down).astype(np.uint8) << i + len(KINDS)
                tiles.append(bits)
            rows.append(np.concatenate(tiles, axis=1))
        told = [self.numbers(kind, across, down) for kind in KINDS for down in PLACES for across in PLACES]
        return {
            "sheet": data_uri(np.concatenate(rows)),
            "picture": data_uri(self._outlined()),
            "lesions": data_uri((self.lesions[0] | self.lesions[1]).astype(np.uint8)),
            "values": {words: [each[words] for each in told] for words in NUMBERS},
            "kinds": KINDS,
            "places": PLACES,
            "colours": [*COLOURS.values()],
            "mark": MARK,
            "pointed": ["across", "down"],
        }


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


TEMPERATURES = {"low": 1, "high": 20, "step": 0.5, "decimals": 1}
SHARPNESS = ("1", "3", "10", "30", "100", "1500")
FARTHEST = 12.0  # the largest logit that is kept


class SoftExplorer(InteractiveFigure):
    """What temperature and sharpness make of one picture's outputs (SAM-KD Eq. 2-3, and sigmoid(-k phi)).

    Parameters
    ----------
    sam, main : numpy.ndarray
        Logits ``(H, W)`` of SAM's answer and of the main network; kept in 256 steps from -12 to 12.
    sdf : numpy.ndarray
        The main network's signed distance ``(H, W)`` in [-1, 1]; kept in 256 steps.
    temperature, k
        At first.

    Raises
    ------
    InputError
        The maps differ in size.
    """

    kind = "soft"

    def __init__(
        self,
        sam: np.ndarray,
        main: np.ndarray,
        sdf: np.ndarray,
        temperature: float = 1,
        k: str = "10",
        title: str = "Soft labels by the temperature T, and the mask that a distance stands for by its sharpness k.",
    ) -> None:
        if not sam.shape == main.shape == sdf.shape:
            raise InputError("the explorer's maps differ in size", "give logits and distance of one picture")
        levels = [*((np.clip(z, -FARTHEST, FARTHEST) / FARTHEST + 1) / 2 for z in (sam, main)), (sdf + 1) / 2]
        self.levels = np.stack([np.round(255 * each).astype(np.uint8) for each in levels], axis=-1)
        self.title, self.decimals = title, {"L_kd with T²": 4, "L_kd without T²": 6, "the two heads' difference": 4}
        self.controls = (
            Control("T", "temperature T", temperature, **TEMPERATURES),
            Control("k", "sharpness k", k, choices=SHARPNESS),
        )

    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The maps as they are kept: both logits, and the distance."""
        sam, main, sdf = np.moveaxis(2 * self.levels.astype(np.float64) / 255 - 1, -1, 0)
        return FARTHEST * sam, FARTHEST * main, sdf

    def numbers(self, T: float, k: str) -> dict[str, float | None]:
        """Eq. 3 with and without T^2, the squared difference of the two heads, and where a distance has a gradient."""
        sam, main, sdf = self.maps()
        p, q = expit(sam / T), expit(main / T)
        loss = float((p * (np.log(p) - np.log(q)) + (1 - p) * (np.log(1 - p) - np.log(1 - q))).mean())
        implied = expit(-float(k) * sdf)
        return {
            "L_kd with T²": loss * T**2,
            "L_kd without T²": loss,
            "the two heads' difference": float(((implied - expit(main)) ** 2).mean()),
            "pixels whose distance has a gradient": float((implied * (1 - implied) > 0.01).mean()),
        }

    def panels(self, T: float, k: str) -> dict[str, np.ndarray]:
        """The three maps, black for 0 and white for 1."""
        sam, main, sdf = self.maps()
        shown = {
            "SAM at T": expit(sam / T),
            "main network at T": expit(main / T),
            "mask of the distance": expit(-float(k) * sdf),
        }
        return {title: np.floor(255 * p + 0.5).astype(np.uint8)[..., None].repeat(3, -1) for title, p in shown.items()}

    def stills(self) -> list[dict[str, Any]]:
        """Three temperatures, and three values of k."""
        start = self.start()
        return [*({**start, "T": t} for t in (1, 4, 20)), *({**start, "k": k} for k in ("1", "100", "1500"))]

    def data(self) -> dict[str, Any]:
        """The three maps as one PNG."""
        return {"maps": data_uri(self.levels), "farthest": FARTHEST}
