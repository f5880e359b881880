"""The models: what they are (catalogue) and where their weights lie (store)."""
