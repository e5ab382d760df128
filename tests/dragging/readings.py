"""The three readings of the method at a rate that moves a random network."""

from draggan_widget.config import DragConfig

CONFIGS = {
    "default": DragConfig(learning_rate=2e-2),
    "paper": DragConfig.paper(learning_rate=2e-2),
    "official": DragConfig.official(learning_rate=2e-2),
}
