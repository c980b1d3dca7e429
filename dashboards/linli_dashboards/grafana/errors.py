"""What may be wrong with a Grafana, by names of its own. The texts say where, what was found, and what to do."""

from linli_core.errors import ConfigError


class GrafanaAway(ConfigError):
    """Nobody answers there, or nothing that is a Grafana does."""


class GrafanaRefused(ConfigError):
    """The token is not one of this Grafana's, or may not do this."""


class GrafanaOld(ConfigError):
    """A release that the boards are not made for."""


class GrafanaAnswer(ConfigError):
    """An answer that was not expected: a failure inside Grafana, or a form that is not its own."""


class GrafanaConflict(GrafanaAnswer):
    """Somebody changed the same thing in the meantime."""


class GrafanaForm(GrafanaAnswer):
    """A board is kept in a form that this way to Grafana does not show: somebody saved it in its new editor."""
