"""Every rule of the audit: what numbers owe one another, on which assumption, and what could excuse a breach.

Two kinds: a *law* is arithmetic and a table that obeys it is cleared; a *pattern* is a statistic and a table without
it is merely unremarkable. The modules beside this one apply them: `bounds` and `confusion` within a row,
`classification`, `patterns` and `repeats` between rows, `promises` between a table and what is said of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A thing numbers owe one another.

    Parameters
    ----------
    name, says : str
        Identifier, and the rule in one sentence.
    severity : {"impossible", "inconsistent", "suspicious"}
        What breaking it means: no data could give these numbers; two statements cannot both hold; it is odd.
    assumption : str
        What must be true for the rule to apply.
    innocent : tuple of str
        Explanations in which nobody did anything wrong but print badly.
    law : bool
        Whether keeping the rule clears the numbers (arithmetic) or says nothing (statistics).
    """

    name: str
    severity: str
    says: str
    assumption: str
    innocent: tuple[str, ...]
    law: bool = True


_SAME_UNITS = "both columns are averages over the same images, folds and classes, of the same masks"
_TYPO = "a slip of the pen in one cell"
_RUNS = "the two columns come from different runs, thresholds or checkpoints"
_TWO_DEFINITIONS = "one column is a mean over lesion and background, the other over the lesion only"
_POOLED = "the row's metrics come from one confusion matrix over all pixels (its J equals f(D) to the digit)"

CUT = "the last digit was cut off, not rounded: one unit of it explains this"

RULES = {
    rule.name: rule
    for rule in (
        Rule("out-of-range", "impossible", "A share lies in [0, 1]; a distance or an area is not negative.",
             "the column shows what its heading says", (_TYPO, "the heading stands over the wrong column")),
        Rule("mixed-units", "suspicious", "A column is in per cent or in fractions, not in both.",
             "every number of a column has the unit of its heading",
             ("a true value below one per cent", "rows were copied from papers that print another unit"), law=False),
        Rule("spread-too-large", "impossible", "The deviation of shares with mean m is at most sqrt(2 m (1 - m)).",
             "the spread is a standard deviation over two or more values", (_TYPO, "the unit of the spread differs")),
        Rule("jaccard-below-bound", "impossible", "mean(J) >= f(mean D), because f(D) = D/(2 - D) is convex.",
             _SAME_UNITS, (_RUNS, _TYPO, _TWO_DEFINITIONS)),
        Rule("jaccard-above-dice", "impossible", "J <= D for every mask, hence for every average.",
             _SAME_UNITS, ("the two headings are exchanged", _TWO_DEFINITIONS, _TYPO)),
        Rule("asd-above-hd95", "suspicious",
             "A mean of surface distances lies below their 95th percentile, unless a few are enormous. Impossible is "
             "one beyond 0.95 HD95 + 0.05 of the picture's diagonal, which no distance exceeds.",
             "both distances are of the same masks, and of both surfaces together or HD95 of the worse direction",
             ("a few surface pixels lie very far off", "the two cells are exchanged",
              "some images have no surface and a penalty was averaged in",
              "the mean is of one direction and the percentile of both lists together", _TYPO), law=False),
        Rule("hm-above-xor", "impossible",
             "HM = |A xor B|/|A or B| and XOR = |A xor B|/|B| share the numerator, and |A or B| >= |B|.",
             _SAME_UNITS, ("the two cells are exchanged", "an earlier paper used the names the other way round")),
        Rule("hm-above-dice-bound", "impossible", "HM = 1 - J, hence mean(HM) <= 2(1 - D)/(2 - D).",
             _SAME_UNITS, ("HM is exchanged with XOR", _RUNS, _TYPO)),
        Rule("hm-below-dice-bound", "impossible", "HM = 1 - J and J <= D, hence mean(HM) >= 1 - D.",
             _SAME_UNITS, (_RUNS, _TYPO)),
        Rule("swapped-columns", "inconsistent", "Exchanging two columns repairs every relation they break.",
             "the relations broken are those of the headings",
             ("only the headings are exchanged, no number is wrong",)),
        Rule("wrong-either-way", "impossible", "A row must be possible under the headings or under their exchange.",
             "the other rows of the table show that its headings are exchanged", (_TYPO, _RUNS)),
        Rule("dice-above-precision-recall", "impossible",
             "D is the harmonic mean of precision and recall, which is concave: mean(D) <= 2PR/(P + R) of the means.",
             "all three are averages over the same images and of the same class",
             (_RUNS, "images without prediction were left out of the precision", _TWO_DEFINITIONS)),
        Rule("dice-below-precision-recall", "impossible", "D >= P + R - 1 for every mask, hence for every average.",
             "all three are averages over the same images and of the same class", (_RUNS, _TYPO)),
        Rule("f1-identity", "inconsistent", "F1 of one class over one test set is exactly 2PR/(P + R).",
             "precision and recall are printed for the same predictions", (_TYPO, "an average over several trainings")),
        Rule("one-confusion-matrix", "inconsistent",
             "Accuracy, sensitivity and specificity fix the lesion's share of pixels; so do Dice, sensitivity and "
             "specificity. In one confusion matrix both shares are the same.", _POOLED,
             (_TYPO, "sensitivity or specificity were averaged per image and the rest pooled", _RUNS)),
        Rule("prevalence", "inconsistent",
             "(Spe - Acc)/(Spe - Sen) is the lesion's share of pixels, the same for every method on one test set.",
             _POOLED, ("the rows come from different splits of the data set", _TYPO, _RUNS)),
        Rule("mixed-definitions", "inconsistent",
             "One heading, one definition: Dice and Jaccard recomputed from Sen, Spe and Acc must be of the lesion in "
             "all rows or means over lesion and background in all rows.",
             "accuracy, sensitivity and specificity of all rows are of the lesion and pooled over pixels",
             ("each row was scored by its own method's script",)),
        Rule("two-class-identity", "inconsistent",
             "Where Dice and Jaccard are means over lesion and background, Sen, Spe and Acc fix both.", _POOLED,
             (_TYPO, _RUNS)),
        Rule("class-share", "inconsistent",
             "Accuracy and the recalls of two classes fix each class's share of the test set.",
             "accuracy and recalls are of one test set of two classes",
             ("the names of the two classes are exchanged", "another test split was used", _TYPO)),
        Rule("class-shares-agree", "inconsistent",
             "Accuracy and the recalls of two classes fix each class's share, the same for all rows on one test set.",
             "all rows use one test set", ("another test split was used", _TYPO)),
        Rule("class-precision", "inconsistent", "Recalls and class shares fix both precisions.",
             "accuracy, precisions and recalls are of one confusion matrix",
             (_TYPO, "averages over several trainings")),
        Rule("two-gaps", "suspicious",
             "J - f(D) grows with the spread between the units averaged; in a block of alike methods it has one level.",
             "the methods of a block were scored by one script",
             ("rows were scored per image and per batch", "a few methods fail on a few images"), law=False),
        Rule("gap-of-block", "suspicious",
             "With a better Dice the spread between images, and with it J - f(D), falls, not rises.",
             "all blocks of a table were scored by one script",
             ("blocks were scored with different batch sizes", "labelled sets of unlike quality"), law=False),
        Rule("gap-outlier", "suspicious",
             "Rows whose J - f(D) is near or below zero while all others agree on a large one.",
             "the rows of a block were scored by one script",
             ("J or D of this row comes from another run or another averaging", _TYPO), law=False),
        Rule("repeated-row", "inconsistent", "Different experiments do not agree in every digit of mean and spread.",
             "the numbers are measured, with enough digits that a coincidence is out of the question",
             ("a row was carried over to the wrong place", "the label of one row is wrong")),
        Rule("shared-rows", "suspicious", "Rows equal in every digit to rows of an earlier paper were not run again.",
             "two papers' own runs would differ in the last digits",
             ("quoting published baselines is common practice", "the same authors reuse their own runs"), law=False),
        Rule("fewer-labels-win", "suspicious",
             "The same data with all labels is an upper reference; a row with fewer labels is well above it.",
             "the fully labelled row has a network and budget like the others",
             ("the fully labelled row uses a smaller network", "the row's label is wrong"), law=False),
        Rule("same-run-differs", "inconsistent", "One run printed in two tables has one value.",
             "both tables show the same run", ("a second training of the same configuration", _TYPO)),
        Rule("text-against-table", "inconsistent", "A number quoted in the text is in the table.",
             "text and table speak of the same experiment", ("the text was written for an earlier version",)),
        Rule("counts", "inconsistent", "Parts add up to the whole.", "the parts are disjoint and complete", (_TYPO,)),
        Rule("rank", "inconsistent", "A method said to be best (or second) is so in its column.",
             "the claim is about this column and these rows", ("the claim leaves out a reference row on purpose",)),
        Rule("gain", "inconsistent", "A gain named in the text is the difference of the cells it is about.",
             "text and table speak of the same experiments", ("the text was written for an earlier version",)),
        Rule("growth", "inconsistent", "A growth rate is (after - before)/before of the printed cells.",
             "rates are relative gains of the printed metric", ("rates were computed from unrounded values",)),
        Rule("mean-growth", "inconsistent", "An average growth rate is the mean of the printed rates.",
             "the average is over the rows of its table", ("another average, or rows not shown",)),
        Rule("time", "inconsistent", "Seconds an iteration times iterations is the total time.",
             "the total contains nothing but the iterations",
             ("the number of iterations of another run", "validation time")),
        Rule("epochs", "suspicious", "Iterations are whole epochs of ceil or floor(images/batch) steps.",
             "an iteration is one batch of the stated size",
             ("an iteration counts one image", "another batch size was used", "training stopped within an epoch"),
             law=False),
        Rule("macro", "inconsistent", "A macro score is the mean of the class scores.",
             "both tables show the same runs", (_TYPO,)),
        Rule("named-data", "inconsistent", "Text and table name the same data set.",
             "the passage is about this table", (_TYPO,)),
        Rule("announced", "inconsistent", "The settings announced are the settings shown.",
             "the announcement is about this table", ("results were added after the sentence was written",)),
    )
}  # fmt: skip
