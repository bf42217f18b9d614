"""Subscribers, and telling them: events become delivery rows, delivery rows become mail."""
