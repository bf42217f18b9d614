"""The incident model: services, incidents, maintenance, outage intervals, and the read model of the page."""
