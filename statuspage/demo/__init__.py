"""A simulator of Customs services on loopback, with catalogue and content, that can really be broken."""
