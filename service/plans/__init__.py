"""Plans: how many experts each layer gets, as a job."""
