"""A demonstration world: Customs services simulated on loopback that can really be broken, their catalogue,
ninety days of generated history, and a catcher for the mail that is sent.

It stands above every other room, and no other room knows it.
"""
