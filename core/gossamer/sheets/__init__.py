"""Pictures of pictures: contact sheets, the worst predictions, what a prompt found."""
