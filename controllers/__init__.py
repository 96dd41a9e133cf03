"""What to try next: controllers that ask and tell, and nothing else."""
