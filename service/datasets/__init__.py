"""/v1/datasets: data for trainings that was uploaded, or that the operator registered."""
