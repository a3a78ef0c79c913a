"""What several nouns share: prices and weights, which CJ sends as one number or as a range."""

from cjasync.models._values import Price, Span, Weight

__all__ = ["Price", "Span", "Weight"]
