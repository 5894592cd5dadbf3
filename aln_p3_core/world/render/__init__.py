"""Six cameras, a depth buffer and labels, rendered headless with OpenGL."""
