"""Who else is on the road: SUMO, recorded logs, scripted actors."""
