"""The errors and warnings that merextras raises, one family each."""


class MerextrasError(Exception):
    """Base class of every error raised by merextras on purpose."""


class UnsupportedModelError(MerextrasError):
    """The model is a valid one, but not one that merextras can represent."""


class InvalidArgumentError(MerextrasError, ValueError):
    """An argument has a value that is not allowed; the message names both."""


class NotPositiveDefiniteError(MerextrasError):
    """A matrix that must be positive definite is not, e.g. collinear fixed effects."""


class ProfileError(MerextrasError):
    """A likelihood profile could not be followed."""


class NotAvailableError(MerextrasError, NotImplementedError):
    """A function that R has or had by this name, and merextras does not; the message says why."""


class MerextrasWarning(UserWarning):
    """Base class of every warning issued by merextras."""


class SingularFitWarning(MerextrasWarning):
    """A variance estimate is zero, or a correlation is at its bound."""


class ConvergenceWarning(MerextrasWarning):
    """An estimate is not at the optimum of its criterion."""


class ApproximationWarning(MerextrasWarning):
    """The result rests on an approximation that may be poor here."""


class RankDeficientWarning(MerextrasWarning):
    """Columns of the fixed part were dropped because others determine them."""


class DataWarning(MerextrasWarning):
    """A table was read as something that may not be what was meant: dates, labels, long ids."""


class LargeModelWarning(MerextrasWarning):
    """The fit will need a lot of memory and time; said before it starts."""


class RefitWarning(MerextrasWarning):
    """A model was fitted again by another criterion, because the verb needs that one."""


class NoRowsError(UnsupportedModelError):
    """Rows are needed of a model that was fitted from cross-products and keeps none."""


class TooLargeError(MerextrasError, MemoryError):
    """What a fit keeps in memory would not fit; the message says what, and how much."""


class MissingExtraError(MerextrasError, ImportError):
    """A package that an optional part needs is not installed; the message names the extra."""
