"""The tab, its JSON routes, and the one Gradio compatibility module."""
