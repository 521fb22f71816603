"""What the heading of a results table says: which metric, in which unit, and of what."""

import re
import unicodedata
from dataclasses import dataclass

from tutseg.audit.numbers import without_latex

# The metric's name here -> what headings call it, without case, units, brackets, arrows and punctuation
SYNONYMS = {
    "dice": "dice dsc dsi di dc dcoef dicecoef dicescore dicecoefficient dicesimilarity dicesimilaritycoefficient "
    "dicesimilarityindex dicesimilarityscore diceindex dicesorensen sorensendice sorensendicecoefficient",
    "mdice": "mdice mdsc",
    "f1": "f1 f1score fscore fmeasure f1measure",
    "jaccard": "jaccard jc jac ja ji jsc jsi jaccardindex jaccardcoefficient jaccardscore jaccardsimilarity "
    "jaccardsimilaritycoefficient jaccardsimilarityindex jaccardsimilarityscore",
    "iou": "iou iouscore foregroundiou intersectionoverunion intersectionofunion",
    "miou": "miou mjaccard",
    "precision": "precision prec pre ppv positivepredictivevalue",
    "recall": "recall rec",
    "sensitivity": "sensitivity sen sens se tpr truepositiverate",
    "specificity": "specificity spe spec sp tnr truenegativerate",
    "accuracy": "accuracy acc ac oa pixelaccuracy overallaccuracy",
    "hd95": "hd95 95hd 95%hd hd95% 95hausdorff 95%hausdorff hausdorff95 hausdorff95% hausdorffdistance95 "
    "hausdorffdistance95% 95hausdorffdistance 95%hausdorffdistance 95thpercentilehausdorffdistance "
    "95percentilehausdorffdistance 95thhausdorffdistance 95thhd 95hdd",
    "asd": "asd averagesurfacedistance surfacedistance",
    "assd": "assd averagesymmetricsurfacedistance symmetricsurfacedistance averagesymmetricalsurfacedistance",
    "hm": "hm hammoude hammoud hammoudedistance hammouddistance",
    "xor": "xor",
}
DISTANCES = {"hd95", "asd", "assd"}
_METRIC = {name: metric for metric, names in SYNONYMS.items() for name in names.split()}
_FAMILIES = ({"dice", "mdice", "f1"}, {"jaccard", "iou", "miou"}, {"recall", "sensitivity"})
_AVERAGES = ("mean", "avg", "average", "test", "overall")
_UNITS = {"", "%", "percent", "percentage", "percentages", "mm", "cm", "px", "pixel", "pixels", "voxel", "voxels"}
_SPREAD = re.compile(r"(?i)(\bmean\s*)?(±|\+/-)\s*(std\b\.?|sd\b|s\.d\.|stdev\b|standard deviation\b|σ)")
_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^][]*)\]")


@dataclass(frozen=True)
class Heading:
    """A heading that names a metric.

    Parameters
    ----------
    metric : str
        A key of `SYNONYMS`.
    percent : bool
        Whether it says "%" or "per cent".
    of : str
        What stands in its brackets besides units and the metric's other names: "Dice (PH2)" is of PH2.
    """

    metric: str
    percent: bool
    of: str


def plain(heading: str) -> str:
    """Letters, digits and "%" of a heading, in lower case."""
    text = unicodedata.normalize("NFD", without_latex(heading).casefold().replace("ø", "o"))
    return re.sub(r"[^\w%]|_|[↑↓]", "", text)


def read_heading(text: str) -> Heading | None:
    """Which metric a heading names; None if none, or two that differ.

    Examples
    --------
    >>> read_heading("95% HD [mm]")
    Heading(metric='hd95', percent=False, of='')
    >>> read_heading("Dice Similarity Coefficient (DSC, %) ↑").percent
    True
    """
    text = re.sub(r"(?i)\b(in )?(per[ -]?cent|pct)\b|\bin %", " % ", _SPREAD.sub(" ", without_latex(text)))
    inside = [part.strip() for pair in _BRACKETS.findall(text) for part in re.split("[,;/]", max(pair))]
    outside = _BRACKETS.sub(" ", text)
    if any(plain(part).rstrip("%") in ("95", "95th", "95thpercentile") for part in inside):
        outside += " 95"
        inside = [part for part in inside if not plain(part).startswith("95")]
    metric = _metric(outside)
    named = {found for part in inside if (found := _metric(part))}
    if metric is None and len(named) == 1 and not set(_words(outside)) - {*_AVERAGES, "segmentation", "overlap"}:
        (metric,) = named
    if metric is None:
        return None
    percent = any(plain(part) in ("%", "percent", "percentage") or re.search(r"[\s\d)]%|^%", part) for part in inside)
    percent |= metric not in DISTANCES and "%" in outside
    of = [part for part in inside if plain(part).rstrip("%") not in _UNITS and not _metric(part)]
    return Heading(
        metric, bool(percent), ", ".join(part for part in of if not set(_words(part)) <= {*_AVERAGES, "std"})
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.casefold())


def _metric(text: str) -> str | None:
    """The metric of a heading without brackets; "Dice/F1" and "Sensitivity / Recall" are one each."""
    name = plain(text)
    for average in ("", *_AVERAGES):
        bare = name.removeprefix(average).removesuffix(average)
        for each in (bare, bare.removesuffix("%"), bare.removeprefix("%")):
            if each in _METRIC:
                found = _METRIC[each]
                return "miou" if found == "iou" and average == "mean" else found
    parts = [_METRIC.get(plain(part).removesuffix("%")) for part in text.split("/")] if "/" in text else []
    if any(parts and set(parts) <= family for family in _FAMILIES):
        return parts[-1]
    return None
