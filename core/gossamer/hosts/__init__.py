"""What Gossamer installs into the programs that it works in."""
