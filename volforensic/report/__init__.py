"""What people read: made from the case and nothing else."""
