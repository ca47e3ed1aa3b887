"""The web site that the example crawls: made from `photos/`, served on loopback."""
