"""What `tailora doctor` looks at."""
