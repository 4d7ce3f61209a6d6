"""Pictures and sound of the kernel on their way to the engine: sources, their threads, handles (runs in the kernel)."""
