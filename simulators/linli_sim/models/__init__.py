"""Physical models that scenarios are told by: pure, stepped by the caller, typical figures with their units."""
