"""What a run shall do, as frozen data. Imports neither torch nor gradio nor a host."""
