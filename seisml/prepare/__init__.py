"""Prepare commands for anybody's recordings, and what prepare steps share."""
