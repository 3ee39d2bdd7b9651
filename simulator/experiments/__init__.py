"""Experiments beyond a pair of scenarios: what is varied, run on the same draws, and made into a study (`simulator.results.study`)."""
