"""The methods of CJClient, one module per noun."""
