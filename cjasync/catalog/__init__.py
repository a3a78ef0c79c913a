"""Whole catalogues: reading them completely, and keeping them."""
