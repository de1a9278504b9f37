"""Puff and its peers under the same load: set up, verify, measure in turns, report ratios."""
