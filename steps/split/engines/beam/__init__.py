"""The split as a Beam pipeline, on this machine or on Dataflow. Beam is imported here only."""
