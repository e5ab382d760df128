"""What engines that read features have in common: places, reading, comparing, Adam's steps and what is to stay."""
