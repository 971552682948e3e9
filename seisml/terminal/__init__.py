"""What long tasks and results look like on a terminal and in log files."""
