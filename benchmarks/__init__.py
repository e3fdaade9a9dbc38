"""Ratios against stated baselines, interleaved in one run; no test depends on a time."""
