"""What all jobs have in common: envelope, lists, events, cancel, retry, delete."""
