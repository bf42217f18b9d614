"""Status page, notification broadcaster and help desk for a customs administration."""

__version__ = "0.1.0"
