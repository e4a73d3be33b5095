"""The run: one worker thread, commands in, snapshots out; the run folder and its database."""
