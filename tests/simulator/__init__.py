"""A small CJ for the planner: catalogues that change, a listing with a window, and virtual time."""
