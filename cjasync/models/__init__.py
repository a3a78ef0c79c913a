"""What CJ's answers become: one module per noun."""
