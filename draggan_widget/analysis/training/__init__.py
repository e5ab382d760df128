"""Networks that are trained for one model: a predictor of how the latent changes when points are pulled."""
