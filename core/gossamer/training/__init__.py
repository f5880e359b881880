"""One's own domain: fine-tuning the networks, from a folder of pictures with masks to weights that every face can use."""
