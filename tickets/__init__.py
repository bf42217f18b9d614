"""The help desk: customers' requests, and their links to incidents."""
