"""What the adapters of the WebUI family share. Nothing here imports the WebUI before it is called."""
