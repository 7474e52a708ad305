"""Whether this machine and this installation can measure, and how small a difference they can show."""
