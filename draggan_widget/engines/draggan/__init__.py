"""DragGAN (Pan et al., SIGGRAPH 2023) in three readings: ``default``, ``paper`` and ``official``."""
