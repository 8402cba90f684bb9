"""Evaluation of voices: measures, listeners, alignment, statistics, and the report."""
