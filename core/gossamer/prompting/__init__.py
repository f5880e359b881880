"""Prompts and the models that read them: GrabCut, SAM, Grounding DINO, and their chain."""
