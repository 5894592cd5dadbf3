"""ROS 2 bags: written, read, played and recorded without rosbag2."""
