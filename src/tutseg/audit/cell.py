"""One printed number of a results table."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Cell:
    """One printed number.

    Parameters
    ----------
    paper, table : str, int
        Where it is printed; for a user's own table the file's name.
    row : str
        Method or system, as printed.
    setting : dict
        Data set, labelled share, split, ablation: whatever tells the cell from the others of its row.
    metric : str
        As the column is *labelled*, even where the content is another.
    value, spread : Decimal, Decimal or None
        With exactly the printed digits.
    position : str
        Row and column in the printed table, ``r3c2``.
    quote : str
        The text that carries it in the paper's text layer, with its reading errors.
    unit, direction : str
        Of the metric: "percent", "fraction", ...; "higher" or "lower" where that is better, else "none".
    """

    paper: str
    table: int | str
    row: str
    setting: dict[str, str]
    metric: str
    value: Decimal
    spread: Decimal | None
    position: str
    quote: str
    unit: str
    direction: str

    @property
    def digits(self) -> int:
        """Decimals printed."""
        return -int(self.value.as_tuple().exponent)
