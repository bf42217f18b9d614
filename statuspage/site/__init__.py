"""Every public output, rendered from one frozen snapshot."""
