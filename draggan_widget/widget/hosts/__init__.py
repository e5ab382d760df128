"""What single notebook hosts need."""
