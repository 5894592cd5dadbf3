"""Offline training of the driver: losses, data, loop. Nothing outside `training` and `commands` imports this."""
