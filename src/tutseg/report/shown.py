"""What a notebook shows of ours: HTML with an alternative text, which stands alone where there is no HTML."""


class Shown:
    """A subclass has `alt`, what can be seen in words and numbers, and writes `to_html`."""

    alt: str

    def to_html(self) -> str:
        """What a page shows."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.alt, "text/html": self.to_html()}

    def __repr__(self) -> str:
        return self.alt
