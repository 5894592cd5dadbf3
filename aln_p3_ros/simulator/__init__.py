"""The embedded world behind ROS topics."""
