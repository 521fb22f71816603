"""What a reader would try first, from scikit-image, with nothing to train: Otsu's threshold, and merged superpixels."""

from collections.abc import Sequence

import numpy as np
import torch
from skimage import color, filters, graph, morphology, segmentation
from torch import Tensor

from tutseg.methods.one_image.base import OneImageMethod, OnStep
from tutseg.methods.options import Count, NotNegative, Several, Whole, checked


class _Pictures(OneImageMethod):
    """A method that takes one picture as a NumPy array; a subclass writes `map_of`."""

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        maps = [self.map_of(image.permute(1, 2, 0).double().cpu().numpy()) for image in images]
        return torch.from_numpy(np.stack(maps).astype(np.int64)).to(images.device)

    def map_of(self, rgb: np.ndarray) -> np.ndarray:
        """Cluster map ``(H, W)`` of a picture ``(H, W, 3)`` in [0, 1]."""
        raise NotImplementedError


class Otsu(_Pictures):
    """Otsu's threshold on blurred grey, then closing and opening, and neither specks nor holes; two clusters.

    Parameters
    ----------
    blur, radius : float
        Of the Gaussian and of the morphology's disc, as fractions of the picture's shorter side.
    """

    @checked
    def __init__(
        self, seed: Whole = 0, steps: Count = 1, blur: NotNegative = 0.01, radius: NotNegative = 0.015
    ) -> None:
        super().__init__(seed, steps)
        self.blur, self.radius = blur, radius

    def map_of(self, rgb: np.ndarray) -> np.ndarray:
        side = min(rgb.shape[:2])
        grey = filters.gaussian(color.rgb2gray(rgb), self.blur * side)
        dark = grey < filters.threshold_otsu(grey)
        disc = morphology.disk(max(1, round(self.radius * side)))
        dark = morphology.opening(morphology.closing(dark, disc), disc)
        speck = round(0.01 * dark.size)
        dark = morphology.remove_small_objects(dark, max_size=speck)
        return morphology.remove_small_holes(dark, max_size=speck)


class SlicMerge(_Pictures):
    """SLIC superpixels in Lab, of which neighbours are merged while their mean colours differ by less than a bound.

    Parameters
    ----------
    superpixels : int
        Roughly how many to begin with.
    difference : float
        The bound, in CIE Lab (ΔE).
    """

    @checked
    def __init__(
        self, seed: Whole = 0, steps: Count = 1, superpixels: Several = 250, difference: NotNegative = 12.0
    ) -> None:
        super().__init__(seed, steps)
        self.superpixels, self.difference = superpixels, difference

    def map_of(self, rgb: np.ndarray) -> np.ndarray:
        regions = segmentation.slic(rgb, n_segments=self.superpixels, compactness=10, sigma=1, start_label=0)
        lab = color.rgb2lab(rgb)
        neighbours = graph.rag_mean_color(lab, regions)
        return graph.merge_hierarchical(
            regions,
            neighbours,
            thresh=self.difference,
            rag_copy=False,
            in_place_merge=True,
            merge_func=_merge_means,
            weight_func=_difference_of_means,
        )


def _difference_of_means(neighbours: graph.RAG, src: int, dst: int, n: int) -> dict[str, float]:
    """Weight of the edge between a merged region and its neighbour, as `merge_hierarchical` asks for it."""
    return {"weight": float(np.linalg.norm(neighbours.nodes[dst]["mean color"] - neighbours.nodes[n]["mean color"]))}


def _merge_means(neighbours: graph.RAG, src: int, dst: int) -> None:
    """Add region `src` to `dst` before the two are joined."""
    into, other = neighbours.nodes[dst], neighbours.nodes[src]
    into["total color"] += other["total color"]
    into["pixel count"] += other["pixel count"]
    into["mean color"] = into["total color"] / into["pixel count"]
