"""The programs that hold a model and make images: A1111, Forge, reForge, and our own standalone host."""
