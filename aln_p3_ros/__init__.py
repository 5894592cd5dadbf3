"""aln_p3_ros: ROS 2 nodes around aln_p3_core."""
