"""aln_p3_core: an end-to-end driver and the language model that explains it, without ROS."""

__version__ = "0.1.0"
