"""One file per channel. Channels know no database and not each other."""
