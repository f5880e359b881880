"""One's own domain: data, training, and the proof that it was worth it."""
