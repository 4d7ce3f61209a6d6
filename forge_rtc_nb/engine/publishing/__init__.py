"""Pictures and sound of this kernel's user for everybody: encoded once, whoever watches (engine process)."""
