"""How good a voice is: measures, listeners, alignment, statistics, and the report."""
