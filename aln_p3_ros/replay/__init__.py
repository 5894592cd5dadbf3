"""Recorded drives as time-ordered ROS messages: one source for the replay node and for bags."""
