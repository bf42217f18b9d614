from pathlib import Path

CATALOGUE = Path(__file__).with_name("catalogue.toml")
