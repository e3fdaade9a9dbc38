"""Trainings: what a plan describes, fine-tuned on the service's workers, as a job."""
