"""What every room needs and that needs nobody."""
