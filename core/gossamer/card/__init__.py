"""Stages after the mask on a card, for pictures that lie there already: the guided filter and blur fusion."""
