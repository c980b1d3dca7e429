"""Every mistake of a configuration at once, instead of one per attempt."""

from collections.abc import Iterable

from linli_core.errors import ConfigError


class ConfigErrors(ConfigError):
    """Several mistakes; the text has one line for each.

    Attributes:
        errors: The mistakes in the order in which they were found, at least one.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(flatten(errors))
        first = self.errors[0]
        super().__init__(first.where, first.found, first.remedy)
        self.args = ("\n".join(str(error) for error in self.errors),)


def flatten(errors: Iterable[ConfigError]) -> list[ConfigError]:
    """Return single mistakes: a :class:`ConfigErrors` counts as what it holds."""
    flat: list[ConfigError] = []
    for error in errors:
        flat.extend(error.errors if isinstance(error, ConfigErrors) else (error,))
    return flat
