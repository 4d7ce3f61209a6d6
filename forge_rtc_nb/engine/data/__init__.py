"""Messages over the data channels of a connection: cut into frames, put together, held up by credit (engine process)."""
