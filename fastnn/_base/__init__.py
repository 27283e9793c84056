"""What everything above stands on: checks, registries, configuration, lazy loading, random numbers, locks."""
