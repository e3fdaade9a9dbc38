"""Figures: what a document shows, as data that every renderer draws the same."""
