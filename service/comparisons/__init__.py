"""Comparisons: the same data under several plans and seeds, on the service's workers, as a job."""
