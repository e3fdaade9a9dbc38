"""Analyses: how heavy-tailed each matrix is, as a job."""
