"""What the planner is made of: pure, given answers and never a clock, a socket or a file."""
