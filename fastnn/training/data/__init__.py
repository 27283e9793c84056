"""From what users call data to checked arrays that the core reads in place."""
