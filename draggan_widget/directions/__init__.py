"""Words and attributes → a change of the latent."""
