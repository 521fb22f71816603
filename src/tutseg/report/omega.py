"""DALE's omega, looked at: its map beside the wrong labels, its histogram, and the features that it is to calibrate."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure as Canvas
from torch import nn

from tutseg.data.loader import Pictures
from tutseg.data.noise import with_noise
from tutseg.methods.noisy_labels.dale import BELOW, DALE
from tutseg.report.explorers import StepExplorer, outlined
from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, legend_below, line_figure, sheet
from tutseg.report.noisy_labels import Suspect, recall_of_errors, suspects
from tutseg.report.photographs import Tile, Tiles
from tutseg.report.table import Table
from tutseg.training.doubts import doubts_of, score_doubt
from tutseg.training.fit import make_fabric, snapshot_steps
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run

SIGNED = {"omega falls: doubted": (213, 94, 0), "omega rises": (0, 114, 178)}
WRONG = {"wrongly lesion": (230, 159, 0), "wrongly background": (204, 121, 167)}
GREY = 120


class Watched:
    """A finished run with label noise, the pictures as its training saw them, and what it doubts at its kept steps.

    Parameters
    ----------
    run : Run
        Of DALE, with snapshots.

    Attributes
    ----------
    pictures : Pictures
        The labelled ones, their masks with noise.
    changed : numpy.ndarray
        Which of their pixels are wrong, bool ``(N, S, S)``.
    """

    def __init__(self, run: Run) -> None:
        trial = self.trial = run.trial
        self.run, self.steps = run, snapshot_steps(trial)
        pictures = pictures_of(trial.data, None, trial.size, trial.data_options)
        self.pictures, self.changed = with_noise(pictures.take(split_of(trial, pictures).labelled), trial.noise)
        self._maps: dict[int, dict[str, np.ndarray]] = {}

    def maps(self, step: int) -> dict[str, np.ndarray]:
        """`doubts_of` the run after `step` steps, in one pass over its labelled pictures."""
        if step not in self._maps:
            fabric = make_fabric("cpu", "32-true")
            self._maps[step] = doubts_of(self.run.method(step), self.pictures, self.trial, fabric, passes=1)
        return self._maps[step]

    def image(self, at: int) -> np.ndarray:
        """A picture with the outline that training got, uint8 ``(S, S, 3)``."""
        return outlined(self.pictures.images[at].permute(1, 2, 0).numpy(), self.mask(at) > 0)

    def mask(self, at: int) -> np.ndarray:
        """The mask that training got, ``(S, S)``."""
        return self.pictures.masks[at, 0].numpy()

    @property
    def most_wrong(self) -> int:
        """The place of the picture with the most wrong labels."""
        return int(self.changed.sum((1, 2)).argmax())


def signed(slope: np.ndarray) -> np.ndarray:
    """The gradient of omega ``(H, W)`` as colours: orange where omega falls, blue where it rises, grey for nothing."""
    strength = np.clip(slope / max(np.quantile(np.abs(slope), 0.98), 1e-30), -1, 1)
    falls, rises = (np.array(colour) for colour in SIGNED.values())
    away = np.where(strength[..., None] > 0, falls, rises) - GREY
    return (GREY + away * np.abs(strength)[..., None]).round().astype(np.uint8)


def wrongs(mask: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Labels ``(H, W)`` and which of them are wrong as colours: wrong lesion, wrong background, right ones dark."""
    shown = np.where(mask[..., None] > 0, GREY, 48).repeat(3, -1).astype(np.uint8)
    for value, colour in zip((1, 0), WRONG.values(), strict=True):
        shown[changed & (mask == value)] = colour
    return shown


def shades(values: np.ndarray) -> np.ndarray:
    """A map ``(H, W)`` from 0 (black) to its 98th per cent (white)."""
    level = np.clip(values / max(np.quantile(values, 0.98), 1e-30), 0, 1)
    return np.repeat((255 * level).round().astype(np.uint8)[..., None], 3, -1)


def omega_tiles(watched: Watched, n: int = 6) -> Tiles:
    """A row for each of the first `n` training pictures: given outline, wrong labels, omega, plain loss; last step."""
    maps, rows = watched.maps(watched.steps[-1]), []
    for at in range(n):
        mask, changed, name = watched.mask(at), watched.changed[at], watched.pictures.ids[at]
        area = {doubt: _area(maps[doubt][at], mask, changed) for doubt in ("omega", "loss")}
        wrong = f"{changed.mean():.0%} of the labels wrong"
        rows.append(
            (
                Tile(watched.image(at), name, f"{name} with the outline that it got"),
                Tile(wrongs(mask, changed), wrong, f"{name}: {wrong}"),
                Tile(signed(maps["omega"][at]), f"omega, AUC {area['omega']}", f"omega, AUC {area['omega']}"),
                Tile(shades(maps["loss"][at]), f"loss, AUC {area['loss']}", f"plain loss, AUC {area['loss']}"),
            )
        )
    told = "; ".join(f"{row[0].words}: {row[1].words}, {row[2].alt}, {row[3].alt}" for row in rows)
    return Tiles(tuple(rows), 4, f"{n} training pictures: given outline, wrong labels, omega and loss. {told}.")


def _auc(doubt: np.ndarray, mask: np.ndarray, changed: np.ndarray) -> float | None:
    """AUC near the outline within each label, averaged over labels; maps ``(H, W)`` or ``(N, H, W)``."""
    whole = [each.reshape(-1, *each.shape[-2:]) for each in (doubt, mask > 0, changed)]
    rows = [row["auc"] for row in score_doubt(*whole) if row["region"] == "outline" and row["auc"] is not None]
    return float(np.mean(rows)) if rows else None


def _area(doubt: np.ndarray, mask: np.ndarray, changed: np.ndarray) -> str:
    auc = _auc(doubt, mask, changed)
    return "–" if auc is None else f"{auc:.2f}"


def omega_explorer(watched: Watched, at: int) -> StepExplorer:
    """One training picture along the kept steps: omega beside wrong labels and loss, and the areas of all pictures."""
    mask, changed, found = watched.mask(at), watched.changed[at], [watched.maps(step) for step in watched.steps]
    masks = watched.pictures.masks[:, 0].numpy()
    areas = {name: [_auc(maps[name], masks, watched.changed) for maps in found] for name in ("omega", "loss")}
    numbers = {
        "AUC of omega, this picture": [_auc(maps["omega"][at], mask, changed) for maps in found],
        "AUC of omega, all pictures": areas["omega"],
        "by the script's sign": [1 - area for area in areas["omega"]],
        "AUC of the plain loss": areas["loss"],
    }
    beside = {
        "given outline": [watched.image(at)],
        "wrong labels": [wrongs(mask, changed)],
        "plain loss": [shades(maps["loss"][at]) for maps in found],
    }
    return StepExplorer(
        [signed(maps["omega"][at]) for maps in found],
        numbers,
        watched.steps,
        title=f"What DALE doubts about {watched.pictures.ids[at]} as training goes on.",
        beside=beside,
        key=SIGNED | WRONG,
        shown="omega",
        counted="step",
    )


def suspect_tiles(watched: Watched, doubt: str, n: int = 20) -> Tiles:
    """The `n` training pictures whose outlines are believed least, each with the outline that it got."""
    folder, ids = watched.run.folder, list(watched.pictures.ids)
    ranked = suspects(folder, doubt)
    tiles = [Tile(watched.image(ids.index(each.id)), _told(each), f"{each.id}: {_told(each)}") for each in ranked[:n]]
    found, errors = recall_of_errors(folder, doubt, n)
    told = f"{found} of the {errors} wrong ones are there"
    return Tiles((tuple(tiles),), 5, f"The {len(tiles)} least believed of {len(ranked)} outlines; {told}.")


def _told(each: Suspect) -> str:
    return f"{each.wrong} labels wrong" if each.wrong else "as it should be"


def by_chance(watched: Watched, n: int = 20) -> float:
    """How many of `n` training pictures drawn by lot would have an injected error."""
    return n * float(watched.changed.any((1, 2)).mean())


@line_figure
def omega_histogram(logs: Mapping[str, Sequence[Mapping[str, np.ndarray]]]) -> tuple[Callable[[float], Canvas], str]:
    """How omega is distributed over the pixels of fuzzy patches: the share below each bound, mean over all steps.

    Parameters
    ----------
    logs : mapping
        How omega is stepped -> logs of its runs.
    """
    shares = {
        name: np.array([np.mean([np.mean(log[f"omega<{bound}"]) for log in of]) for bound in BELOW])
        for name, of in logs.items()
    }

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 5.5), 2.5)
        axis.axvline(1, color=INK, lw=0.8, ls="--", alpha=0.6)
        for i, (name, share) in enumerate(shares.items()):
            axis.plot(BELOW, 100 * share, color=PALETTE[i], ls=DASHES[i], marker=MARKERS[i], ms=4, label=name)
        axis.set(xlabel="omega", ylabel="% of pixels below it", ylim=(-3, 103))
        legend_below(figure, axis, width)
        return figure

    told = "; ".join(
        f"{name}: " + ", ".join(f"{share:.0%} below {bound:g}" for bound, share in zip(BELOW, of, strict=True))
        for name, of in shares.items()
    )
    return draw, f"Cumulative histogram of omega over the pixels of fuzzy patches. {told}."


def published_omega(net: str, sizes: Mapping[int, int], batch: int, rate: float = 3e-4) -> dict[int, dict[str, float]]:
    """One step of omega as published, by an untrained net on one batch of drawn lesions.

    Parameters
    ----------
    net : str
        A network.
    sizes : mapping
        Pixels a side -> pixels a side of a patch.
    batch : int
        Pictures.
    rate : float
        Learning rate of the virtual step; the paper's.

    Returns
    -------
    dict
        Size -> the median size of the gradient over fuzzy pixels ("gradient"), the median step that Adam makes of it
        ("step", of at most the rate .1) and the share of fuzzy pixels whose omega stays within .01 of 1 ("alike").
    """
    found = {}
    for size, patch in sizes.items():
        torch.manual_seed(0)
        images, labels = pictures_of("synth", None, size, {"n": batch, "size": size}).floats(torch.arange(batch))
        bins = min(256, patch * patch // 2)
        method = DALE(net, size, patch=patch, bins=bins, confidence="adam", tau=0.7).train()
        n, f, fuzzy = method.split(images, labels)
        omega, slope = method.omega(n, f, fuzzy, rate)
        moved = (omega - 1).abs()[fuzzy]
        found[size] = {
            "gradient": float(slope.abs()[fuzzy].median()),
            "step": float(moved.median()),
            "alike": float((moved < 0.01).float().mean()),
        }
    return found


def published_table(found: Mapping[int, Mapping[str, float]]) -> Table:
    """`published_omega` as a table."""
    rows = [
        (f"{size}", f"{each['gradient']:.1e}", f"{each['step']:.3f}", f"{100 * each['alike']:.0f}")
        for size, each in found.items()
    ]
    return Table(
        ("pixels a side", "median gradient", "median step of omega", "% of fuzzy pixels within .01 of 1"),
        tuple(rows),
        "One step of omega by Adam at a rate of .1, untrained network",
        "Adam divides by the gradient's size plus 1e-8: below that the step shrinks with the gradient.",
    )


@torch.inference_mode()
def region_features(
    net: nn.Module, cut: DALE, pictures: Pictures, each: int = 400, seed: int = 0
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Decoded features of pixels in fuzzy and in other patches, as many of lesion as of skin.

    Parameters
    ----------
    net : nn.Module
        Trained, on the CPU; its card gives "decoded".
    cut : DALE
        Whose patches; those with ``m`` above one half count as fuzzy, since hardly any is above the threshold of .9.
    pictures : Pictures
        With masks.
    each : int
        Pixels of a region and label at most.

    Returns
    -------
    dict
        "non-fuzzy" and "fuzzy" -> features ``(n, D)``, and whether each lies in a lesion, float ``(n,)``.
    """
    images, masks = pictures.floats(torch.arange(len(pictures)))
    maps = net.eval()(images, features=True).decoded.float()
    small = lambda values: F.interpolate(values, maps.shape[2:])[:, 0].flatten().numpy() > 0
    lesion, fuzzy = small(masks), small((cut.fuzziness(images, masks) > 0.5).float())
    decoded = maps.permute(0, 2, 3, 1).flatten(0, 2).numpy()
    rng, found = np.random.default_rng(seed), {}
    for name, inside in (("non-fuzzy", ~fuzzy), ("fuzzy", fuzzy)):
        of = [np.flatnonzero(inside & (lesion == label)) for label in (False, True)]
        count = min(each, *map(len, of))
        chosen = np.concatenate([rng.choice(places, count, replace=False) for places in of])
        found[name] = decoded[chosen], lesion[chosen].astype(float)
    return found


def separation(features: np.ndarray, lesion: np.ndarray) -> dict[str, float]:
    """How far two classes of features ``(n, D)`` lie apart.

    Returns
    -------
    dict
        "neighbours": share of points whose ten nearest others are mostly of their own class (of equally large classes
        .5 is chance); "silhouette": -1 to 1, how much nearer a point is to its own class than to the other.
    """
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    near = NearestNeighbors(n_neighbors=10).fit(features).kneighbors(return_distance=False)
    votes = lesion[near].mean(1)
    right = np.where(votes == 0.5, 0.5, (votes > 0.5) == (lesion > 0.5))
    return {"neighbours": float(right.mean()), "silhouette": float(silhouette_score(features, lesion > 0.5))}


def separation_table(found: Mapping[str, Mapping[str, float]]) -> Table:
    """`separation` by panel."""
    rows = [(name, f"{each['neighbours']:.2f}", f"{each['silhouette']:+.2f}") for name, each in found.items()]
    return Table(
        ("features of", "neighbours alike (chance .5)", "silhouette (-1 to 1)"),
        tuple(rows),
        "How far lesion and skin lie apart in the features themselves",
        "As many pixels of either class in every row, so that rows can be compared.",
    )
