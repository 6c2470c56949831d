"""Tables of models: tidy frames, one-row summaries, rows of data, models side by side."""
