"""Probes of Customs services and the judgement of what they saw."""
