"""The engine: aiortc, codecs and the signaling socket in a process of their own, one for each kernel."""
