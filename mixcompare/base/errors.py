"""Errors that a user can act on."""


class MixCompareError(ValueError):
    """Base of every error that bad input can raise.

    The message names the culprit (column, row, unit, option), its value and the
    remedy, in one paragraph that a command line can print without a traceback.
    """


class SpecificationError(MixCompareError):
    """The model specification is not valid in itself."""


class DataError(MixCompareError):
    """The data cannot be used with the specification."""


class OptionError(MixCompareError):
    """A backend, option or study setting is unknown or out of range."""


class DegenerateFitError(MixCompareError):
    """Every EM start ran into an unbounded or empty component."""


class DensityError(MixCompareError):
    """A sampler's compiled density is not that of the model."""


class MachineError(MixCompareError):
    """The machine could not do it, whatever was asked: a full disk, no memory, no workers."""


class DataWarning(UserWarning):
    """The data can be used, but something about them should be known."""
