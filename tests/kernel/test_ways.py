"""Each way by which a kernel finds and enters its server, in kernels that the real server started."""
