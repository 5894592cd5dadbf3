"""Errors that a user can act on. Every message says what was wrong and what to do about it."""


class AlnP3Error(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidFrameError(AlnP3Error, ValueError):
    """A driving frame (or a part of it) that cannot be driven on: a bad rotation, NaN, a missing camera."""


class CalibrationError(AlnP3Error, ValueError):
    """A camera calibration that is missing, incomplete or impossible."""


class ImageError(AlnP3Error, ValueError):
    """An image that cannot be decoded, or that does not have the size its calibration speaks of."""


class DataError(AlnP3Error):
    """A data set whose files are missing, broken or contradict each other. Names the file."""


class ConfigError(AlnP3Error, ValueError):
    """A recipe or setting that does not exist or does not fit. Names the key and the choices."""


class CheckpointError(AlnP3Error):
    """A checkpoint that is damaged or belongs to another recipe. Lists what differs."""


class TrainingError(AlnP3Error):
    """A training that cannot go on: the loss is no number, a process that reads data died, the disk is full."""
