"""The notebook's face: the widget, its messages, its frame stream, and the built front end."""

from draggan_widget.widget.editor import DragGAN, Editor

__all__ = ["DragGAN", "Editor"]
